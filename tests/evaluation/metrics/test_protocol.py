"""Results, cache keys and reasons."""

import json
from dataclasses import replace

import numpy as np
import pytest

from dia.config.judges import JudgesConfig
from dia.dialogue import Script
from dia.evaluation.metrics.protocol import ClipScore, Context, score_key
from dia.evaluation.metrics.quality import PredictedQuality
from dia.evaluation.metrics.registry import build_metrics
from dia.evaluation.metrics.result import Contribution, MetricResult, summarise_rate, summarise_ratio
from dia.evaluation.metrics.unavailable import UnavailableMetric
from dia.evaluation.metrics.words import WordErrorRate
from dia.evaluation.not_measured import NotMeasured
from dia.evaluation.prompts import Prompt
from dia.judges.provenance import Provenance
from dia.judges.recording import Recording
from dia.judges.transcription import RecognisedWord
from dia.judges.unavailable import JudgeUnavailable

SCRIPT = "[S1] Bread and butter. (laughs) [S2] Fresh milk."
WAVE = np.linspace(-0.5, 0.5, 16_000, dtype=np.float32)
PROMPT = Prompt("p", SCRIPT)


def recording(waveform=WAVE, script=SCRIPT, **known):
    return Recording("p", "system", Script.parse(script), waveform, 16_000, **known)


class FixedTranscript:
    """An ASR model with a fixed transcript."""

    def __init__(self, text):
        self.text = text
        self.provenance = Provenance("ear", "1", 16_000, "none", True)

    def words(self, _):
        return [RecognisedWord(f" {word}", place, place + 1) for place, word in enumerate(self.text.split())]


def test_a_key_covers_everything_that_a_value_depends_on():
    metric, context = PredictedQuality(FixedTranscript("")), Context(PROMPT)
    same = score_key(metric, recording(WAVE.copy()), context)
    assert same == score_key(metric, recording(), Context(replace(PROMPT, id="other")))
    others = [
        score_key(metric, recording(WAVE * 0.9), context),
        score_key(metric, recording(script="[S1] One."), context),
        score_key(metric, recording(ended=False), context),
        score_key(PredictedQuality(FixedTranscript(""), "other"), recording(), context),
    ]
    assert len({same, *others}) == 5
    around = Context(PROMPT, voices=(recording(),)), Context(PROMPT, reference=recording())
    assert {score_key(metric, recording(), context) for context in around} == {same}  # it reads neither
    metric.reads = ("voices", "reference")
    assert len({same, *(score_key(metric, recording(), context) for context in around)}) == 3
    metric.version = "2"
    assert score_key(metric, recording(), context) != same


def test_a_fingerprint_does_not_depend_on_memory_layout():
    assert recording(np.repeat(WAVE, 2)[::2]).fingerprint == recording().fingerprint


def test_a_result_without_clips_has_a_reason_and_no_value():
    for made in (
        summarise_ratio("a", [], "nothing"),
        summarise_rate("a", [], "nothing"),
        summarise_ratio("a", [Contribution("p", 3.0, 0.0)], "nothing"),
    ):
        assert made.measured is None and made.to_json()["result"] == "not measured: nothing"
    result = MetricResult("a", NotMeasured("nothing"), detail={"counts": {"x": 1}})
    json.dumps(result.to_json(), allow_nan=False)


def test_ratios_weigh_clips_by_what_they_are_out_of():
    row = summarise_ratio("wer", [Contribution("a", 1, 2), Contribution("b", 0, 8)], "nothing")
    assert row.estimate.value == pytest.approx(0.1) and row.estimate.prompts == 2


def test_word_errors_are_counted_over_the_corpus_and_per_clip_and_failed_clips_are_counted():
    short, long = "[S1] Fresh milk.", "[S1] " + " ".join(["word"] * 18) + "."
    metric = WordErrorRate(FixedTranscript(""), FixedTranscript(""))
    clips = [
        ClipScore(
            Prompt("a", short),
            0,
            WordErrorRate(FixedTranscript("old tea"), FixedTranscript("")).measure(
                recording(script=short), Context(PROMPT)
            ),
        ),
        ClipScore(
            Prompt("b", long),
            0,
            WordErrorRate(FixedTranscript("word " * 18), FixedTranscript("")).measure(
                recording(script=long), Context(PROMPT)
            ),
        ),
    ]
    rows = {row.name: row.estimate.value for row in metric.summarise(clips)}
    assert rows["wer"] == pytest.approx(0.1) and rows["wer_mean"] == rows["wer_over_50"] == 0.5
    assert 0 < rows["wer_characters"] < 0.2 and rows["wer_spoken_tags"] == 0


def test_a_tag_read_aloud_is_counted_and_laughter_is_no_word():
    values = WordErrorRate(
        FixedTranscript("bread and butter laughs fresh milk"), FixedTranscript("")
    ).measure(recording(), Context(PROMPT))
    assert values["spoken_tags"] == 1 and values["insertions"] == 1
    values = WordErrorRate(
        FixedTranscript("bread and butter ha ha ha fresh milk"), FixedTranscript("")
    ).measure(recording(), Context(PROMPT))
    assert values["errors"] == 0


def test_a_missing_judge_is_a_reason():
    class Gone:
        @property
        def provenance(self):
            raise JudgeUnavailable("it is not here")

    assert PredictedQuality(Gone()).provenance() == NotMeasured("it is not here")
    rows = UnavailableMetric("utmos", "no model").summarise(
        [ClipScore(PROMPT, 0, {}, NotMeasured("no model"))]
    )
    assert [row.to_json() for row in rows] == [
        {"name": "utmos", "better": 0, "result": "not measured: no model"}
    ]


def test_every_metric_of_the_registry_is_listed_with_or_without_its_model(monkeypatch, tmp_path):
    monkeypatch.setenv("DIA_MODELS", str(tmp_path))
    metrics = build_metrics(JudgesConfig(ecapa=str(tmp_path), utmos=str(tmp_path / "none.pt")), {})
    names = [metric.name for metric in metrics]
    assert len(set(names)) == len(names) == 20
    origins = {metric.name: metric.provenance() for metric in metrics}
    for name in ("nonverbals", "ecapa_similarity", "utmos", "wavlm_similarity", "emotion"):
        assert isinstance(origins[name], NotMeasured), origins[name]
    for metric in metrics:
        assert isinstance(origins[metric.name], NotMeasured) or all(
            isinstance(one, Provenance) for one in origins[metric.name]
        )
        for row in metric.summarise([]):
            assert isinstance(row.estimate, NotMeasured) and row.estimate.reason
            json.dumps(row.to_json(), allow_nan=False)
