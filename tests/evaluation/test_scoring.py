"""From takes to results: scores are cached, systems are summarised and compared, reasons are stated."""

import numpy as np
import pytest

from dia.evaluation.cache import ContentCache
from dia.evaluation.metrics.protocol import Context
from dia.evaluation.metrics.result import Contribution
from dia.evaluation.metrics.unavailable import UnavailableMetric
from dia.evaluation.not_measured import NotMeasured
from dia.evaluation.scoring import (
    clip_rows,
    compare_systems,
    kind_of,
    metric_origins,
    resolve_metrics,
    score_clip,
    summarise_system,
)
from dia.judges.recording import Recording
from dia.judges.unavailable import JudgeUnavailable
from tests.evaluation.loudness import METRICS, Loudness, clip, prompt, system_of


def test_the_same_audio_is_scored_once(tmp_path):
    cache, metric = ContentCache(tmp_path), Loudness()
    first, again, other = (score_clip([metric], *clip("a", 0, level), cache) for level in (0.2, 0.2, 0.3))
    assert metric.calls == 2 and first.scores == again.scores != other.scores
    metric.version = "2"
    assert score_clip([metric], *clip("a", 0, 0.2), cache).scores == first.scores and metric.calls == 3


def test_missing_scores_have_a_reason(tmp_path):
    recording, context = clip("a", 0, 0.2)
    silent = Recording("p0", "a", recording.script, np.zeros(0, np.float32), 16_000)
    scores = score_clip(METRICS, silent, context, ContentCache(tmp_path)).scores
    assert scores["loudness"].values["level"] == 0
    assert scores["utmos"].reason == NotMeasured("no model is named") and not scores["utmos"].measured
    results = system_of("a", [0.2], ContentCache(tmp_path)).metrics
    assert results["utmos"].to_json()["result"] == "not measured: no model is named"
    assert metric_origins(METRICS)["utmos"].models == NotMeasured("no model is named")


def test_a_clip_that_cannot_be_scored_is_cached_with_its_reason_and_counts(tmp_path):
    class Picky(Loudness):
        def measure(self, recording, context):
            self.calls += 1
            return NotMeasured("too quiet", {"turns": 2})

    metric, cache = Picky(), ContentCache(tmp_path)
    for _ in range(2):
        score = score_clip([metric], *clip("a", 0, 0.2), cache).scores["loudness"]
        assert score.reason == NotMeasured("too quiet") and score.values == {"turns": 2}
        assert score.to_json() == {"not_measured": "too quiet", "turns": 2}
    assert metric.calls == 1


def test_a_metric_whose_model_is_missing_becomes_a_placeholder():
    class Absent(Loudness):
        def provenance(self):
            self.calls += 1
            return NotMeasured("no such model")

    absent = Absent()
    (placeholder,) = resolve_metrics([absent])
    assert isinstance(placeholder, UnavailableMetric) and placeholder.name == "loudness"
    assert placeholder.provenance() == NotMeasured("no such model") and absent.calls == 1


def test_the_share_of_failed_takes_is_a_result(tmp_path):
    failure = (prompt(2), "rate_limited: 429")
    results = system_of("a", [0.2, 0.4], ContentCache(tmp_path), [failure]).metrics
    assert results["takes_failed"].estimate.value == pytest.approx(1 / 3)
    assert results["loudness"].estimate.value == pytest.approx(0.3)
    only_failures = summarise_system("b", [], [(prompt(0), "unauthorised: 401")], METRICS).metrics
    assert only_failures["takes_failed"].estimate.value == 1.0 and "loudness" not in only_failures


def test_pairs_of_systems_are_compared_on_shared_prompts(tmp_path):
    cache, rng = ContentCache(tmp_path), np.random.default_rng(0)
    levels = rng.uniform(0.2, 0.4, 12)
    systems = [
        system_of("soft", levels, cache),
        system_of("loud", levels + rng.uniform(0.25, 0.35, 12), cache),
        summarise_system("none", [], [(prompt(0), "unauthorised: 401")], METRICS),
    ]
    comparisons = compare_systems(systems)
    loudness = next(item for item in comparisons if item.score == "loudness")
    assert loudness.difference == pytest.approx(-0.3, abs=0.05) and loudness.p_holm < 0.05
    assert loudness.low < loudness.difference < loudness.high < 0
    assert {(item.first, item.second) for item in comparisons if item.score == "loudness"} == {
        ("soft", "loud")
    }


@pytest.mark.parametrize(
    "contributions, kind",
    [([(1, 1), (0, 1)], "rate"), ([(1, 1), (0.5, 1)], "mean"), ([(1, 7), (0, 1)], "ratio")],
)
def test_the_kind_of_a_score_follows_from_all_systems(contributions, kind):
    assert kind_of([Contribution("p", *values) for values in contributions]) == kind


def test_a_model_that_turns_out_to_be_missing_is_a_reason(tmp_path):
    class Absent(Loudness):
        def measure(self, recording, context):
            raise JudgeUnavailable("no such model")

    scored = score_clip([Absent()], *clip("a", 0, 0.2), ContentCache(tmp_path))
    results = summarise_system("a", [scored], [], [Absent()]).metrics
    assert results["loudness"].to_json()["result"] == "not measured: no such model"
    assert not list(tmp_path.rglob("*.json"))


def test_one_system_without_shared_prompts_does_not_remove_the_other_pairs(tmp_path):
    cache = ContentCache(tmp_path)
    levels = np.linspace(0.2, 0.4, 8)
    elsewhere = summarise_system("other", [score_clip(METRICS, *clip("other", 70, 0.3), cache)], [], METRICS)
    systems = [system_of("soft", levels, cache), elsewhere, system_of("loud", levels + 0.3, cache)]
    pairs = {(item.first, item.second) for item in compare_systems(systems) if item.score == "loudness"}
    assert pairs == {("soft", "loud")}


def test_primary_scores_are_tested_and_two_references_are_not(tmp_path):
    cache, levels = ContentCache(tmp_path), np.linspace(0.2, 0.4, 8)
    names = ("ground truth", "codec round trip", "model")
    systems = [system_of(name, levels + 0.1 * place, cache) for place, name in enumerate(names)]
    tested = {item.score for item in compare_systems(systems, ["loud"]) if item.primary}
    assert tested == {"loud"}
    primary = [item for item in compare_systems(systems) if item.primary]
    assert {item.score for item in primary} == {"loudness", "takes_failed"}  # the headlines
    assert all("model" in (item.first, item.second) for item in primary)
    assert {item.tests for item in primary} == {2}  # no take failed, which no test can tell apart


def test_systems_without_a_prompt_in_common_are_not_compared(tmp_path):
    cache = ContentCache(tmp_path)
    other = summarise_system("other", [score_clip(METRICS, *clip("other", 7, 0.3), cache)], [], METRICS)
    assert compare_systems([system_of("one", [0.2], cache), other]) == []


def test_clips_are_flat_rows_followed_by_failures(tmp_path):
    system = system_of("a", [0.2], ContentCache(tmp_path), [(prompt(1), "timeout: 30 s")])
    rows = clip_rows("quick", system)
    assert rows[0]["loudness.level"] == pytest.approx(0.2) and "loudness.by_window" not in rows[0]
    assert rows[0]["utmos.not_measured"] == "no model is named"
    assert (rows[1]["prompt_id"], rows[1]["failure"]) == ("p1", "timeout: 30 s")


def test_a_metric_gets_only_the_parts_of_the_context_that_it_reads():
    class Reader(Loudness):
        reads = ("reference",)

        def measure(self, recording, context):
            assert context.voices == () and context.reference is recording
            return super().measure(recording, context)

    recording, context = clip("a", 0, 0.2)
    full = Context(context.prompt, (recording,), recording)
    assert score_clip([Reader()], recording, full).scores["loudness"].measured
