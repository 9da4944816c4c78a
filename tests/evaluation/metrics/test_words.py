"""Word error rates of clips that were not recognised or not English, and the disagreement of ASR models."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dia.evaluation.metrics.attribution import AttributedWords
from dia.evaluation.metrics.inputs import MetricInputs
from dia.evaluation.metrics.protocol import ClipScore, Context, score_key
from dia.evaluation.metrics.words import (
    RecogniserDisagreement,
    WordErrorRate,
    build_disagreement,
    build_second,
)
from dia.evaluation.not_measured import NotMeasured
from dia.evaluation.prompts import Prompt
from dia.evaluation.report import render_report
from dia.evaluation.scoring import score_clip, summarise_system
from dia.evaluation.shared_models import SharedModels
from dia.judges.unavailable import JudgeUnavailable
from tests.evaluation.loudness import results_of
from tests.evaluation.metrics.test_protocol import PROMPT, SCRIPT, FixedTranscript, recording

LOOP = "See you in the next video. " * 40
WORDS = 5  # of the script


def rate_of(text, **known):
    return WordErrorRate(FixedTranscript(text), FixedTranscript(text)).measure(
        recording(**known), Context(PROMPT)
    )


@given(st.sampled_from(["", "bread and butter ", "bread and butter fresh milk "]), st.integers(8, 60))
def test_the_words_of_a_clip_that_was_not_recognised_are_missing_and_nothing_is_inserted(before, rounds):
    values = rate_of(before + "see you in the next video " * rounds)
    assert values["not_recognised"] == 1 and values["transcript"]
    assert values["errors"] == values["deletions"] == values["words"] == WORDS
    assert values["insertions"] == values["substitutions"] == values["spoken_tags"] == 0
    assert values["rate"] == 1 and values["character_errors"] == values["characters"]


def test_clips_that_were_not_recognised_are_counted_beside_the_rate():
    texts = ["bread and butter fresh milk", LOOP, "bread and butter stale milk"]
    clips = [ClipScore(Prompt(str(place), SCRIPT), 0, rate_of(text)) for place, text in enumerate(texts)]
    results = {row.name: row for row in WordErrorRate(None, None).summarise(clips)}
    assert results["wer"].estimate.value == pytest.approx((WORDS + 1) / (3 * WORDS))
    assert results["wer"].detail["not_recognised"] == 1 and results["wer"].detail["insertions"] == 0
    beside = results["wer_not_recognised"]
    assert beside.estimate.value == pytest.approx(1 / 3) and beside.headline and beside.better == -1


def test_a_phrase_that_the_script_repeats_is_recognised():
    script = "[S1] " + "No no no no. " * 20
    assert rate_of("no " * 80, script=script)["errors"] == 0
    assert rate_of("no " * 80, script=script)["not_recognised"] == 0


def test_words_by_speaker_are_missing_too_where_the_clip_was_not_recognised():
    models = SharedModels(FixedTranscript(LOOP))
    values = AttributedWords(models).measure(recording(), Context(PROMPT))
    assert values["errors"] == values["words"] == WORDS
    assert models.usable_words(recording()) == [] != models.words(recording())


def test_two_models_of_which_each_hears_something_else_disagree():
    first, second = FixedTranscript("bread and butter, fresh milk"), FixedTranscript("Bread and batter fresh")
    metric = RecogniserDisagreement(SharedModels(first, second=second))
    values = metric.measure(recording(), Context(PROMPT))
    assert values == {"errors": 2, "words": 5}
    assert [model.model for model in metric.provenance()] == ["ear", "ear"]
    (row,) = metric.summarise([ClipScore(PROMPT, 0, values)])
    assert row.estimate.value == pytest.approx(0.4) and row.better == 0
    (row,) = metric.summarise([ClipScore(PROMPT, 0, {"errors": 0, "words": 0})])
    assert row.estimate == NotMeasured("neither ASR model recognised any word")


@given(st.text("ab ", max_size=30), st.text("ab ", max_size=30))
def test_disagreement_is_a_share_of_the_longer_transcript(one, other):
    metric = RecogniserDisagreement(SharedModels(FixedTranscript(one), second=FixedTranscript(other)))
    values = metric.measure(recording(), Context(PROMPT))
    assert 0 <= values["errors"] <= values["words"]
    assert (values["errors"] == 0) == (one.split() == other.split()) or "".join(one.split()) == "".join(
        other.split()
    )


def test_both_metrics_of_the_second_model_run_it_once():
    class Counting(FixedTranscript):
        calls = 0

        def words(self, clip):
            self.calls += 1
            return super().words(clip)

    second = Counting("bread")
    inputs = MetricInputs(None, SharedModels(FixedTranscript(""), second=second), {})
    for metric in (build_second(inputs), build_disagreement(inputs)):
        metric.measure(recording(), Context(PROMPT))
    assert second.calls == 1
    without = MetricInputs(None, SharedModels(FixedTranscript("")), {})
    for build in (build_second, build_disagreement):
        assert "judges.second_asr=" in build(without).provenance().reason


def test_a_model_that_does_not_know_the_language_is_a_reason_for_the_clip():
    class English(FixedTranscript):
        def words(self, clip):
            raise JudgeUnavailable("it knows English only")

    metric = WordErrorRate(English(""), English(""))
    scored = score_clip([metric], recording(language="de"), Context(PROMPT)).scores["wer"]
    assert scored.reason == NotMeasured("it knows English only")


def test_chinese_words_are_characters():
    values = rate_of(
        "\u4f60\u597d\uff0c\u4e16\u95f4\uff01", script="[S1] \u4f60\u597d\u4e16\u754c", language="zh"
    )
    assert (values["errors"], values["words"]) == (1, 4) == (values["character_errors"], values["characters"])


def test_the_language_of_a_clip_and_the_version_of_the_normalisation_are_part_of_the_key(monkeypatch):
    metric = WordErrorRate(FixedTranscript(""), FixedTranscript(""))
    english = score_key(metric, recording(), Context(PROMPT))
    assert english == score_key(metric, recording(language="en"), Context(PROMPT))
    assert english != score_key(metric, recording(language="de"), Context(PROMPT))
    assert recording().fingerprint != recording(language="de").fingerprint
    monkeypatch.setattr("dia.judges.normalisation.VERSION", "other")
    later = WordErrorRate(FixedTranscript(""), FixedTranscript(""))
    assert english != score_key(later, recording(), Context(PROMPT))
    models = SharedModels(FixedTranscript(""))
    assert "dia-words-other" in models.alignment.provenance.settings


def test_the_report_shows_a_clip_that_was_not_recognised_as_such():
    metric = WordErrorRate(FixedTranscript(LOOP), FixedTranscript(LOOP))
    system = summarise_system("model", [score_clip([metric], recording(), Context(PROMPT))], [], [metric])
    page = render_report(results_of(system), [])
    assert "(not recognised, the transcript repeats itself) See you in the next video." in page
    assert "clips that were not recognised" in page and page.count("See you") < 10
