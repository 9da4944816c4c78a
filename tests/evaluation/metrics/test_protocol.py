"""Rows, keys and reasons."""

import json
from dataclasses import replace

import numpy as np
import pytest

from dia.config.judges import JudgesConfig
from dia.dialogue import Script
from dia.evaluation.metrics.not_measured import Unavailable
from dia.evaluation.metrics.protocol import NOT_MEASURED, Clip, Context, Part, Row, key_of, rate, ratio
from dia.evaluation.metrics.quality import PredictedQuality
from dia.evaluation.metrics.registry import metrics_of
from dia.evaluation.metrics.words import WordErrorRate
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


class Ear:
    """Hears what it is told."""

    def __init__(self, text):
        self.text = text
        self.provenance = Provenance("ear", "1", 16_000, "none", True)

    def words(self, _):
        return [RecognisedWord(f" {word}", place, place + 1) for place, word in enumerate(self.text.split())]


def test_a_key_is_all_that_a_value_depends_on():
    metric, context = PredictedQuality(Ear("")), Context(PROMPT)
    same = key_of(metric, recording(WAVE.copy()), context)
    assert same == key_of(metric, recording(), Context(replace(PROMPT, id="other")))
    others = [
        key_of(metric, recording(WAVE * 0.9), context),
        key_of(metric, recording(script="[S1] One."), context),
        key_of(metric, recording(ended=False), context),
        key_of(PredictedQuality(Ear(""), "other"), recording(), context),
    ]
    assert len({same, *others}) == 5
    around = Context(PROMPT, voices=(recording(),)), Context(PROMPT, reference=recording())
    assert {key_of(metric, recording(), found) for found in around} == {same}  # it reads neither
    metric.reads = ("voices", "reference")
    assert len({same, *(key_of(metric, recording(), found) for found in around)}) == 3
    metric.version = "2"
    assert key_of(metric, recording(), context) != same


def test_a_fingerprint_does_not_depend_on_memory_layout():
    assert recording(np.repeat(WAVE, 2)[::2]).fingerprint == recording().fingerprint


def test_a_row_without_clips_has_a_reason_and_no_number():
    for made in (
        ratio("a", [], "nothing"),
        rate("a", [], "nothing"),
        ratio("a", [Part("p", 3.0, 0.0)], "nothing"),
    ):
        assert made.estimate is None and made.plain()["result"] == "not measured: nothing"
    json.dumps(Row("a", None, "nothing", detail={"counts": {"x": 1}}).plain(), allow_nan=False)


def test_ratios_weigh_clips_by_what_they_are_out_of():
    row = ratio("wer", [Part("a", 1, 2), Part("b", 0, 8)], "nothing")
    assert row.estimate.value == pytest.approx(0.1) and row.estimate.prompts == 2


def test_words_are_counted_as_corpus_and_mean_and_failed_clips_are_told():
    short, long = "[S1] Fresh milk.", "[S1] " + " ".join(["word"] * 18) + "."
    metric = WordErrorRate(Ear(""), Ear(""))
    clips = [
        Clip(
            Prompt("a", short),
            0,
            WordErrorRate(Ear("old tea"), Ear("")).measure(recording(script=short), Context(PROMPT)),
        ),
        Clip(
            Prompt("b", long),
            0,
            WordErrorRate(Ear("word " * 18), Ear("")).measure(recording(script=long), Context(PROMPT)),
        ),
    ]
    rows = {row.name: row.estimate.value for row in metric.summarise(clips)}
    assert rows["wer"] == pytest.approx(0.1) and rows["wer_mean"] == rows["wer_over_50"] == 0.5
    assert 0 < rows["wer_characters"] < 0.2 and rows["wer_spoken_tags"] == 0


def test_a_tag_read_aloud_is_told_and_laughter_is_no_word():
    values = WordErrorRate(Ear("bread and butter laughs fresh milk"), Ear("")).measure(
        recording(), Context(PROMPT)
    )
    assert values["spoken_tags"] == 1 and values["insertions"] == 1
    values = WordErrorRate(Ear("bread and butter ha ha ha fresh milk"), Ear("")).measure(
        recording(), Context(PROMPT)
    )
    assert values["errors"] == 0


def test_a_missing_judge_is_a_reason():
    class Gone:
        @property
        def provenance(self):
            raise JudgeUnavailable("it is not here")

    assert PredictedQuality(Gone()).provenance() == "not measured: it is not here"
    rows = Unavailable("utmos", "no model").summarise([Clip(PROMPT, 0, {NOT_MEASURED: "no model"})])
    assert [row.plain() for row in rows] == [
        {"name": "utmos", "better": 0, "result": "not measured: no model"}
    ]


def test_every_metric_of_the_catalogue_is_there_with_or_without_its_model(monkeypatch, tmp_path):
    monkeypatch.setenv("DIA_MODELS", str(tmp_path))
    metrics = metrics_of(JudgesConfig(ecapa=str(tmp_path), utmos=str(tmp_path / "none.pt")), {})
    names = [metric.name for metric in metrics]
    assert len(set(names)) == len(names) == 18
    origins = {metric.name: metric.provenance() for metric in metrics}
    for name in ("nonverbals", "ecapa_similarity", "utmos", "wavlm_similarity", "emotion"):
        assert origins[name].startswith("not measured: "), origins[name]
    for metric in metrics:
        assert isinstance(origins[metric.name], str) or all(
            isinstance(one, Provenance) for one in origins[metric.name]
        )
        for row in metric.summarise([]):
            assert row.estimate is None and row.reason
            json.dumps(row.plain(), allow_nan=False)
