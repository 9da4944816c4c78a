"""A new metric costs one file and one line of the registry: this file and `append`."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from dia.config.compose import compose, typed
from dia.config.judges import JudgesConfig
from dia.errors import UserError
from dia.evaluation.metrics import registry
from dia.evaluation.metrics.protocol import contributions_of
from dia.evaluation.metrics.result import summarise_ratio
from dia.evaluation.metrics.unavailable import UnavailableMetric
from dia.evaluation.report import render_report
from dia.evaluation.suite_prompts import PromptItem
from dia.evaluation.suites import Suite
from dia.evaluation.takes import SystemTakes
from dia.evaluation.terminal import print_results
from dia.judges.provenance import Provenance
from tests.evaluation.loudness import clip, prompt, results_of, score_in_process


class PeakLevel:
    """The highest sample of a clip."""

    name, version, reads = "peak", "1", ()

    def provenance(self):
        return (Provenance("maximum of samples", "1", 0, "Apache-2.0", True),)

    def measure(self, recording, context):
        return {"peak": float(abs(recording.waveform).max())}

    def summarise(self, clips):
        peaks = contributions_of(clips, "peak")
        return [summarise_ratio("peak", peaks, "no clip", 1, label="peak level", headline=True)]


def build(inputs):
    """Return the metric; a real one may use configuration, models and calibration of ``inputs``."""
    assert isinstance(inputs.config, JudgesConfig)
    return PeakLevel()


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "METRICS", [])
    registry.METRICS.append(build)  # the one line
    metrics = registry.build_metrics(JudgesConfig(), {})
    items = [PromptItem(prompt(number)) for number in range(12)]
    takes = [
        SystemTakes(name, [clip(name, number, level + 0.01 * number)[0] for number in range(12)])
        for name, level in (("baseline", 0.2), ("model", 0.5))
    ]
    suite = Suite("quick", 12, 1, 1, split="test")
    scored = score_in_process(suite, items, takes, metrics, (), tmp_path)
    return results_of(metrics=metrics, suites=(scored,))


def test_it_is_in_scores_json(results):
    stored = json.loads(json.dumps(results.to_json(), allow_nan=False))
    quick = stored["suites"]["quick"]
    assert quick["systems"]["model"]["peak"]["value"] == pytest.approx(0.555, abs=1e-3)
    (compared,) = [item for item in quick["comparisons"] if item["score"] == "peak"]
    assert compared["difference"] == pytest.approx(-0.3, abs=1e-3)
    assert stored["provenance"]["peak"]["models"][0]["model"] == "maximum of samples"


def test_it_is_a_column_of_the_clips(results):
    assert all("peak.peak" in row for row in results.clip_rows())


def test_it_is_in_the_table_of_the_terminal(results):
    console = Console(width=160, file=io.StringIO())
    print_results(results, Path("report.html"), console)
    assert "peak level (higher is better)" in console.file.getvalue()


def test_it_is_in_the_report(results):
    page = render_report(results, [])
    assert "maximum of samples" in page and "Better in 1 of 2 tested scores (peak level)" in page


def test_metrics_are_chosen_or_left_out_by_name():
    metrics = registry.build_metrics(JudgesConfig(), {})

    def measured(*names):
        chosen = registry.choose_metrics(metrics, names)
        assert [metric.name for metric in chosen] == [metric.name for metric in metrics]
        return [metric.name for metric in chosen if not isinstance(metric, UnavailableMetric)]

    assert measured("wer", "turns") == ["wer", "turns"]
    assert "second_wer" in measured() and measured("-second_wer") == [
        name for name in measured() if name != "second_wer"
    ]
    assert measured("wer", "turns", "-wer") == ["turns"]
    with pytest.raises(UserError, match=r"no metric words; known: wer, second_wer"):
        measured("words", "-mos")


@pytest.mark.parametrize(
    "given, expected", [("metrics=[wer,mos]", ["wer", "mos"]), ("metrics=-second_wer", ["-second_wer"])]
)
def test_the_command_line_takes_names_of_metrics(given, expected):
    assert typed(compose("eval", [given])).metrics == expected
