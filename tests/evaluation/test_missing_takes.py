"""Takes that a system lacks are counted, and each of them is the worst that a score can be."""

import numpy as np
import pytest

from dia.config.judges import JudgesConfig
from dia.dialogue import Script
from dia.evaluation.cache import ContentCache
from dia.evaluation.coverage import coverage_sentences
from dia.evaluation.metrics.protocol import ClipScore, HasWorstValues
from dia.evaluation.metrics.registry import build_metrics
from dia.evaluation.missing_takes import LEFT_OUT, summarise_with_missing, with_left_out
from dia.evaluation.not_measured import NotMeasured
from dia.evaluation.prompts import Prompt
from dia.evaluation.scoring import compare_systems, score_clip, summarise_system
from dia.evaluation.statistics import estimate_mean
from dia.evaluation.suites import load_suites
from dia.evaluation.takes import SystemTakes
from dia.judges.recording import Recording
from tests.evaluation.loudness import Loudness, clip, prompt, results_of
from tests.evaluation.metrics.clips import PERFECT

TAGGED = Prompt("g-tag", "[S1] That is funny. (laughs) [S2] It is.", group="g", version="tag", tag="laughs")
PLAIN = Prompt("g-plain", "[S1] That is funny. [S2] It is.", group="g", version="plain", tag="laughs")
HIGH = Prompt("h-high", "[S1] Run! [S2] Now!", group="h", arousal="high")
FOUR_TURNS = Prompt("four", "[S1] Who goes there? [S2] Only me. [S1] Come in. [S2] Thank you.")
WORST = {
    "wer": 1,
    "wer_mean": 1,
    "wer_over_50": 1,
    "wer_characters": 1,
    "failed": 1,
    "failed/missing": 1,
    "mos": 1,
    "dnsmos_overall": 1,
    "similarity": 0,
    "similarity_margin": -1,
    "similarity_turns_lost": 1,
    "turn_accuracy": 0,
    "turn_accuracy_own": 0,
    "voice_swaps": 1,
    "cpwer": 1,
    "tcpwer": 1,
    "voices_wrong": 1,
    "cpsim_failed": 1,
    "tag_recall": 0,
    "false_insertion": 1,
    "net_tag_effect": -1,
    "tags_read_aloud": 1,
    "slot_hit_3": 0,
    "arousal_agreement": 0,
}


class Level(Loudness):
    """Loudness, of which silence is the worst; very loud clips cannot be measured."""

    def measure(self, recording, context):
        level = float(np.abs(recording.waveform).mean())
        if level > 0.9:
            return NotMeasured("too loud" if level < 0.95 else "the model is away")
        return super().measure(recording, context)

    def worst_values(self, prompt, reason=""):
        return {"level": 0.0, "loud": 0.0} if reason in ("", "too loud") else None


def results_of_missing(prompts):
    metrics = build_metrics(JudgesConfig(), {"laughs": PERFECT})
    made = [
        result
        for metric in metrics
        if isinstance(metric, HasWorstValues)
        for result in metric.summarise([ClipScore(own, -1, metric.worst_values(own)) for own in prompts])
    ]
    return {result.name: result for result in made}


def test_a_missing_take_is_the_worst_of_every_score():
    results = results_of_missing([TAGGED, PLAIN, HIGH, FOUR_TURNS])
    assert {name: results[name].measured.value for name in WORST} == pytest.approx(WORST)


def test_every_primary_score_knows_its_worst():
    own = load_suites("own.jsonl")
    names = {name for suite in [*load_suites("quick"), *load_suites("full"), *own] for name in suite.primary}
    assert names <= {*WORST}


def test_a_judge_that_is_away_is_not_the_fault_of_a_take():
    for metric in build_metrics(JudgesConfig(), {"laughs": PERFECT}):
        if isinstance(metric, HasWorstValues) and metric.name not in ("failures", "nonverbals"):
            assert metric.worst_values(TAGGED, "no such model") is None, metric.name


def takes(*numbers, failures=()):
    script = Script.parse("[S1] Hello.")
    waveform = np.ones(160, np.float32)
    recordings = [Recording(f"p{number}", "x", script, waveform, 16_000, take) for number, take in numbers]
    return SystemTakes("x", recordings, failures)


def test_every_prompt_needs_as_many_takes_as_any_has():
    prompts = [prompt(number) for number in range(3)]
    whole = takes((0, 0), (1, 0), (2, 0))
    assert with_left_out(whole, prompts) == SystemTakes("x", whole.recordings, ())
    some = with_left_out(takes((0, 0), (0, 1), (1, 0), failures=[(prompts[1], "timeout")]), prompts)
    assert some.failures == ((prompts[1], "timeout"), (prompts[2], LEFT_OUT), (prompts[2], LEFT_OUT))
    reference = SystemTakes("ground truth", whole.recordings[:1])
    assert with_left_out(reference, prompts) is reference


def summarised(name, levels, folder, missing=()):
    metrics = [Level()]
    cache = ContentCache(folder)
    clips = [score_clip(metrics, *clip(name, number, level), cache) for number, level in enumerate(levels)]
    return summarise_system(name, clips, [(prompt(number), LEFT_OUT) for number in missing], metrics)


def test_the_default_includes_missing_takes_and_the_complete_case_does_not(tmp_path):
    system = summarised("a", [0.2, 0.4, 0.3], tmp_path, missing=[3, 4, 5])
    loudness = system.metrics["loudness"]
    assert loudness.measured.value == pytest.approx(0.15) and loudness.measured.prompts == 6
    complete = estimate_mean([0.2, 0.4, 0.3], ["p0", "p1", "p2"])
    assert loudness.complete.measured.value == pytest.approx(complete.value)
    assert loudness.to_json()["complete_case"]["clips"] == 3
    assert "complete_case" not in summarised("a", [0.2], tmp_path).metrics["loudness"].to_json()
    nothing = summarised("b", [], tmp_path, missing=[0, 1, 2]).metrics["loudness"]
    assert nothing.measured.value == 0 and not nothing.complete.measured


def test_a_take_that_cannot_be_scored_counts_only_where_it_is_at_fault(tmp_path):
    at_fault = summarised("a", [0.2, 0.92], tmp_path).metrics["loudness"]
    assert at_fault.measured.value == pytest.approx(0.1)
    excused = summarised("a", [0.2, 0.97], tmp_path).metrics["loudness"]
    assert excused.measured.value == pytest.approx(0.2) and excused.complete is None
    away = summarised("a", [0.97, 0.97], tmp_path).metrics["loudness"]
    assert away.estimate == NotMeasured("the model is away")
    away = summarised("a", [0.97, 0.97], tmp_path, missing=[2]).metrics["loudness"]
    assert away.estimate == NotMeasured("the model is away")


def test_scores_that_need_voices_are_not_measured_without_them():
    class Similar(Level):
        reads = ("voices",)

    for known, measured in ((True, True), (False, False)):
        results = summarise_with_missing(Similar(), [], [prompt(0)], voices_known=known)
        assert any(result.measured for result in results) is measured


def test_comparisons_and_the_first_screen_know_both(tmp_path):
    levels = np.linspace(0.2, 0.4, 16)
    systems = [
        summarised("skips", levels[:8] + 0.1, tmp_path, missing=range(8, 16)),
        summarised("whole", levels, tmp_path),
    ]
    found = next(item for item in compare_systems(systems) if item.score == "loudness")
    assert found.prompts == 16 and found.difference < 0
    assert found.complete_case.prompts == 8 and found.complete_case.difference == pytest.approx(0.1)
    (result,) = results_of(*systems, metrics=[Level()]).suites
    assert coverage_sentences(result) == [
        "skips: 8 of 16 takes are missing (left out 8); they count as the worst value of each score."
    ]
