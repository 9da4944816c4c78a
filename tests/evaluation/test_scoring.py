"""From recordings to rows and comparisons: what is kept, what is compared, what the page shows."""

from html import escape

import numpy as np
import pytest

from dia.dialogue import Script
from dia.evaluation.cache import ContentCache
from dia.evaluation.metrics.not_measured import Unavailable
from dia.evaluation.metrics.protocol import NOT_MEASURED, Context, Part, parts_of, rate, ratio
from dia.evaluation.prompts import Prompt
from dia.evaluation.published import load_published
from dia.evaluation.report import page, table
from dia.evaluation.scoring import System, clip_rows, comparisons, kind_of, measure, provenance, rows_of
from dia.evaluation.suites import Suite
from dia.judges.provenance import Provenance
from dia.judges.recording import Recording
from dia.judges.unavailable import JudgeUnavailable


class Loudness:
    """How loud a clip is, and whether it is loud; it counts how often it listens."""

    name, version, reads = "loudness", "1", ()

    def __init__(self):
        self.listened = 0

    def provenance(self):
        return (Provenance("a test's own", "1", 16_000, "Apache-2.0", True),)

    def measure(self, recording, context):
        self.listened += 1
        level = float(np.abs(recording.waveform).mean())
        return {"level": level, "loud": float(level > 0.5), "by_window": [level]}

    def summarise(self, clips):
        return [
            ratio("loudness", parts_of(clips, "level"), "no clip", 1),
            rate("loud", parts_of(clips, "loud"), "no clip", 1),
        ]


METRICS = [Loudness(), Unavailable("utmos", "no model is named")]


def prompt(number):
    return Prompt(f"p{number}", f"[S1] Clip <{number}>.")


def clip(system, number, level, seed=0):
    asked = prompt(number)
    waveform = np.full(1600, level, np.float32)
    return Recording(asked.id, system, Script.parse(asked.script), waveform, 16_000, seed), Context(asked)


def system_of(name, levels, kept, failures=()):
    clips = [measure(METRICS, *clip(name, number, level), kept) for number, level in enumerate(levels)]
    return System(name, clips, list(failures))


def test_the_same_sound_is_measured_once(tmp_path):
    kept, metric = ContentCache(tmp_path), Loudness()
    first, again, other = (measure([metric], *clip("a", 0, level), kept) for level in (0.2, 0.2, 0.3))
    assert metric.listened == 2 and first.values == again.values != other.values
    metric.version = "2"
    assert measure([metric], *clip("a", 0, 0.2), kept).values == first.values and metric.listened == 3


def test_what_cannot_be_measured_says_why(tmp_path):
    recording, context = clip("a", 0, 0.2)
    silent = Recording("p0", "a", recording.script, np.zeros(0, np.float32), 16_000)
    values = measure(METRICS, silent, context, ContentCache(tmp_path)).values
    assert values["loudness"]["level"] == 0 and values["utmos"] == {NOT_MEASURED: "no model is named"}
    rows = rows_of(METRICS, system_of("a", [0.2], ContentCache(tmp_path)))
    assert rows["utmos"].plain()["result"] == "not measured: no model is named"
    assert provenance(METRICS)["utmos"]["models"] == "not measured: no model is named"


def test_failed_takes_are_a_figure(tmp_path):
    rows = rows_of(
        METRICS, system_of("a", [0.2, 0.4], ContentCache(tmp_path), [(prompt(2), "rate_limited: 429")])
    )
    assert rows["takes_failed"].estimate.value == pytest.approx(1 / 3)
    assert rows["loudness"].estimate.value == pytest.approx(0.3)
    only_failures = rows_of(METRICS, System("b", [], [(prompt(0), "unauthorised: 401")]))
    assert only_failures["takes_failed"].estimate.value == 1.0 and "loudness" not in only_failures


def test_pairs_of_systems_are_compared_on_shared_prompts(tmp_path):
    kept, rng = ContentCache(tmp_path), np.random.default_rng(0)
    levels = rng.uniform(0.2, 0.4, 12)
    rows = {
        "soft": rows_of(METRICS, system_of("soft", levels, kept)),
        "loud": rows_of(METRICS, system_of("loud", levels + rng.uniform(0.25, 0.35, 12), kept)),
        "none": rows_of(METRICS, System("none", [], [(prompt(0), "unauthorised: 401")])),
    }
    found = {one["score"]: one for one in comparisons(rows)}
    assert (
        found["loudness"]["difference"] == pytest.approx(-0.3, abs=0.05)
        and found["loudness"]["p_holm"] < 0.05
    )
    assert found["loudness"]["low"] < found["loudness"]["difference"] < found["loudness"]["high"] < 0
    assert {(one["first"], one["second"]) for one in comparisons(rows) if one["score"] == "loudness"} == {
        ("soft", "loud")
    }


@pytest.mark.parametrize(
    "parts, kind",
    [([(1, 1), (0, 1)], "rate"), ([(1, 1), (0.5, 1)], "mean"), ([(1, 7), (0, 1)], "ratio")],
)
def test_what_a_score_is_follows_from_all_systems(parts, kind):
    assert kind_of([Part("p", top, bottom) for top, bottom in parts]) == kind


def test_a_judge_found_missing_at_work_is_a_reason(tmp_path):
    class Absent(Loudness):
        def measure(self, recording, context):
            raise JudgeUnavailable("no such model")

    system = System("a", [measure([Absent()], *clip("a", 0, 0.2), ContentCache(tmp_path))])
    assert rows_of([Absent()], system)["loudness"].plain()["result"] == "not measured: no such model"
    assert not list(tmp_path.rglob("*.json"))


def test_systems_without_a_prompt_in_common_are_not_compared(tmp_path):
    kept = ContentCache(tmp_path)
    one, other = (
        system_of("one", [0.2], kept),
        System("other", [measure(METRICS, *clip("other", 7, 0.3), kept)]),
    )
    assert comparisons({"one": rows_of(METRICS, one), "other": rows_of(METRICS, other)}) == []


def test_clips_are_flat_rows_with_failures_among_them(tmp_path):
    rows = clip_rows("quick", system_of("a", [0.2], ContentCache(tmp_path), [(prompt(1), "timeout: 30 s")]))
    assert rows[0]["loudness.level"] == pytest.approx(0.2) and "loudness.by_window" not in rows[0]
    assert (rows[1]["prompt_id"], rows[1]["failure"]) == ("p1", "timeout: 30 s")


def test_the_page_escapes_and_says_what_was_not_measured(tmp_path):
    kept, suite = ContentCache(tmp_path), Suite("quick", 3, 1, 2, split="test")
    systems = [
        system_of("<model>", [0.2, 0.6, 0.4], kept, [(prompt(0), "<b>bad</b>")]),
        system_of("truth", [0.3, 0.5, 0.7], kept),
    ]
    rows = {system.name: rows_of(METRICS, system) for system in systems}
    plain = {
        "prompts": 3, "prompts_sha256": "0" * 64, "comparisons": comparisons(rows),
        "systems": {name: {row.name: row.plain() for row in found.values()} for name, found in rows.items()},
        "failures": {"<model>": {"<b>bad</b>": 1}, "truth": {}},
    }  # fmt: skip
    detector = {"clips": 0, "missing": "no file", "tags": {}, "on_people": None}
    results = {
        "checkpoint": "x<y", "suites": {"quick": plain}, "suites_not_measured": {"full": "not measured: nothing"},
        "detector": detector, "problems": ["<i>hash</i>"],
        "provenance": provenance(METRICS),
    }  # fmt: skip
    made = page(
        results,
        [(suite, systems)],
        None,
        load_published(),
        {"times_real_time": 3.0, "prompts": 2, "seconds_of_sound": 5},
    )
    for text in (
        "x&lt;y",
        "&lt;b&gt;bad&lt;/b&gt;",
        "&lt;i&gt;hash&lt;/i&gt;",
        "no model is named",
        "3.00 times real time",
        escape(load_published()[0].system),
    ):
        assert text in made, text
    assert "<b>bad" not in made and "<model>" not in made and made.count("data:audio/flac") == 4
    assert table(results, "quick").row_count == 1  # takes that failed; the others are no headline
