"""Nonverbal adherence on invented scores detects sounds removed, added, swapped, misplaced or read aloud."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dia.evaluation.metrics.adherence import summarise_adherence
from dia.evaluation.metrics.corrected import correct_rate
from dia.evaluation.metrics.placement import events_of, slot_at, speaker_at
from dia.evaluation.metrics.result import Contribution
from dia.evaluation.metrics.superbench import summarise_superbench
from dia.evaluation.metrics.tag_effects import NOT_CALIBRATED, NOT_MEASURABLE
from dia.evaluation.not_measured import NotMeasured
from dia.judges.events import Calibration
from tests.evaluation.metrics.clips import PERFECT, WEAK, clip, results_by_name

TAGGED, PLAIN = "[S1] One two (laughs) three. [S2] Four five.", "[S1] One two three. [S2] Four five."
SWAPPED, SENTINEL = (
    "[S1] One two (coughs) three. [S2] Four five.",
    "[S1] One two (juggles) three. [S2] Four five.",
)
LAUGH = [("laughs", 2.0)]
CALIBRATION = {"laughs": PERFECT, "coughs": PERFECT}


def group(name, tag=LAUGH, plain=(), swapped=(("coughs", 2.0),), sentinel=()):
    given = (
        ("tag", TAGGED, tag),
        ("plain", PLAIN, plain),
        ("swapped", SWAPPED, swapped),
        ("sentinel", SENTINEL, sentinel),
    )
    return [clip(script, events, name, version, "laughs") for version, script, events in given]


def values(clips, calibration=CALIBRATION):
    rows = results_by_name(summarise_adherence(clips, calibration))
    return {name: row.measured and row.measured.value for name, row in rows.items()}


def groups(count, **given):
    return [made for number in range(count) for made in group(f"g{number}", **given)]


def test_a_system_that_follows_its_tags():
    found = values(groups(4))
    assert found["tag_recall/laughs"] == found["tag_recall"] == found["net_tag_effect/laughs"] == 1
    assert found["false_insertion"] == found["swapped_still_heard"] == found["sentinel_leakage"] == 0
    assert found["slot_error_absolute"] == 0 and found["slot_hit_0"] == found["right_speaker"] == 1


def test_a_removed_laugh_lowers_recall_and_an_added_one_raises_false_insertions():
    whole = groups(3)
    removed, added = [*whole, *group("x", tag=())], [*whole, *group("x", plain=LAUGH)]
    assert (
        values(removed)["tag_recall/laughs"] == pytest.approx(0.75)
        and values(removed)["false_insertion/laughs"] == 0
    )
    assert values(added)["tag_recall/laughs"] == 1 and values(added)[
        "false_insertion/laughs"
    ] == pytest.approx(0.25)
    assert (
        values(removed)["net_tag_effect/laughs"]
        == values(added)["net_tag_effect/laughs"]
        == pytest.approx(0.75)
    )


def test_laughter_that_comes_with_the_text_is_no_effect_of_the_tag():
    found = values(groups(4, plain=LAUGH))
    assert found["tag_recall/laughs"] == 1 and found["net_tag_effect/laughs"] == 0


def test_pairs_are_by_text_and_seeds_of_one_text_are_one_cluster():
    clips = [made for seed in range(3) for made in groups(5)]
    row = results_by_name(summarise_adherence(clips, CALIBRATION))["net_tag_effect/laughs"]
    assert row.estimate.prompts == len(row.contributions) == 5 and row.detail["paired"]


def test_the_wrong_sound_and_an_unknown_tag_are_detected():
    found = results_by_name(summarise_adherence(groups(4, swapped=LAUGH, sentinel=LAUGH), CALIBRATION))
    assert found["swapped_still_heard"].estimate.value == found["sentinel_leakage"].estimate.value == 1
    assert found["sentinel_effect"].estimate.value == 1
    confusion = found["swapped_still_heard"].detail["confusion"]
    assert confusion["coughs"] == {"laughs": 4, "coughs": 0} and confusion["laughs"] == {
        "laughs": 4,
        "coughs": 0,
    }


def test_displacement_is_not_cut_off():
    late = values(
        groups(4, tag=[("laughs", 5.4)])
    )  # behind all five words, three too late, by the other speaker
    assert late["slot_error"] == late["slot_error_absolute"] == 3 and late["right_speaker"] == 0
    assert [late[f"slot_hit_{off}"] for off in range(4)] == [0, 0, 0, 1]
    early = values(groups(4, tag=[("laughs", 0.2)]))
    assert early["slot_error"] == -2 and early["slot_error_absolute"] == 2 and early["slot_hit_2"] == 1
    both = values(groups(4, tag=[("laughs", 2.0), ("laughs", 5.4)]))
    assert both["slot_error"] == 1.5 and both["slot_hit_0"] == 1


WORDS = [[0.0, 1.0], [1.0, 2.0], [4.0, 5.0], [5.0, 6.0]]  # two of turn 0, two of turn 1


def between(pauses, words=WORDS):
    return {"words": words, "word_turns": [0, 0, 1, 1], "speakers": [1, 2], "pauses": pauses, "seconds": 6.0}


def test_a_sound_between_two_turns_belongs_to_the_nearer_turn():
    # the sound lies from 2.6 to 3.4, its middle as near to the one as to the other
    assert speaker_at(3.0, between([[1.9, 2.6], [3.4, 4.0]])) == 2  # .7 s of silence before, .6 behind
    assert speaker_at(3.0, between([[2.0, 2.6], [3.4, 4.1]])) == 1
    assert (
        speaker_at(2.5, between([[1.9, 2.6], [3.4, 4.0]])) == 2
    )  # the best window's middle lies beside the sound
    assert (
        speaker_at(1.0, between([[1.9, 2.6], [3.4, 4.0]])) == 1
    )  # far from it: the word that is spoken then
    assert (
        speaker_at(2.4, between([])) == 1 and speaker_at(3.6, between([])) == 2
    )  # no pause: the nearest word
    broken = [[2.0, 2.2], [2.5, 2.6], [3.0, 3.1], [3.4, 4.0]]  # a laugh in three bursts is one sound
    assert [speaker_at(time, between(broken)) for time in (2.3, 2.8, 3.3)] == [1, 1, 1]


def test_a_sound_at_an_end_has_one_neighbour_and_without_words_no_speaker():
    assert speaker_at(0.2, between([[0.6, 1.4]], [[1.4, 2.0], [2.0, 2.5], [2.5, 4.0], [4.0, 6.0]])) == 1
    assert speaker_at(5.8, between([[4.0, 5.4]], [[0.0, 1.0], [1.0, 2.0], [2.0, 3.0], [3.0, 4.0]])) == 2
    assert speaker_at(3.0, between([[0.0, 6.0]], [None] * 4)) is None
    assert speaker_at(3.0, between([[0.0, 6.0]])) in (1, 2)  # nothing is loud


def test_a_tag_that_the_detector_cannot_measure_has_a_reason_and_no_value():
    rows = results_by_name(summarise_adherence(groups(3), {"laughs": WEAK}))
    assert rows["tag_recall/laughs"].estimate == NotMeasured(NOT_MEASURABLE)
    assert rows["tag_recall"].measured is None
    sneezes = [clip("[S1] One (sneezes) two.")]
    assert results_by_name(summarise_adherence(sneezes, CALIBRATION))[
        "tag_recall/sneezes"
    ].estimate == NotMeasured(NOT_CALIBRATED)


def test_prompts_without_versions_are_not_paired():
    clips = [clip(TAGGED, LAUGH, number=number) for number in range(4)] + [clip(PLAIN, number=9)]
    row = results_by_name(summarise_adherence(clips, CALIBRATION))["net_tag_effect/laughs"]
    assert row.estimate.value == 1 and not row.detail["paired"] and not row.contributions


def test_macro_counts_tags_alike_and_micro_clips():
    clips = [clip(TAGGED, LAUGH, number=number) for number in range(9)]
    clips.append(clip(SWAPPED, (), number=10))
    found = values(clips)
    assert found["tag_recall"] == pytest.approx(0.9) and found["tag_recall_macro"] == pytest.approx(0.5)


def test_tags_read_aloud_and_word_errors_caused_by_a_tag():
    clips = [
        made
        for number in range(4)
        for made in (
            clip(TAGGED, LAUGH, f"g{number}", "tag", "laughs", errors=1, read_aloud=number % 2),
            clip(PLAIN, (), f"g{number}", "plain", "laughs"),
        )
    ]
    found = values(clips)
    assert found["tags_read_aloud"] == 0.5 and found["lexical_damage"] == pytest.approx(0.2)


def test_the_published_example_of_a_correction_is_outside_and_not_clipped():
    """Reference: q .70 with sensitivity .60 and specificity .95 is 1.18."""
    parts = [Contribution(str(number), float(number < 70)) for number in range(100)]
    found = correct_rate(parts, Calibration(0.5, 0.6, 0.95, 200, 200))
    assert (
        found["value"] == pytest.approx(0.65 / 0.55)
        and found["outside"]
        and found["low"] < found["value"] < found["high"]
    )


@given(st.floats(0, 1), st.floats(0.6, 1), st.floats(0.9, 1))
def test_a_correction_undoes_what_the_detector_does(truth, sensitivity, specificity):
    observed = truth * sensitivity + (1 - truth) * (1 - specificity)
    found = correct_rate(
        [Contribution("a", observed), Contribution("b", observed)],
        Calibration(0.5, sensitivity, specificity, 100, 100),
    )
    assert found["value"] == pytest.approx(truth, abs=1e-9)


def test_a_corrected_interval_contains_the_true_rate():
    """Sensitivity and specificity are measured as well, on 80 recordings each; 300 systems whose true rate is
    .6.
    """
    rng, inside = np.random.default_rng(0), 0
    for _ in range(300):
        se, sp = rng.binomial(80, 0.85) / 80, rng.binomial(80, 0.9) / 80
        detected = rng.random(60) < 0.6 * 0.85 + 0.4 * 0.1
        found = correct_rate(
            [Contribution(str(n), float(one)) for n, one in enumerate(detected)],
            Calibration(0.5, se, sp, 80, 80),
        )
        inside += found["low"] <= 0.6 <= found["high"]
    assert 0.92 <= inside / 300 <= 0.985


@given(st.lists(st.one_of(st.none(), st.integers(0, 40)), min_size=1, max_size=8), st.floats(-1, 50))
def test_slots_count_the_words_before(starts, middle):
    known = sorted(start for start in starts if start is not None)
    words = [None if start is None else [known.pop(0), 0] for start in starts]
    words = [None if times is None else [times[0], times[0] + 0.5] for times in words]
    slot = slot_at(middle, words)
    if all(times is None for times in words):
        assert slot is None
    else:
        assert 0 <= slot <= len(words)
        assert all(sum(times) / 2 < middle for times in words[:slot] if times) and all(
            sum(times) / 2 >= middle for times in words[slot:] if times
        )


def test_windows_on_end_are_one_event():
    made = clip(TAGGED, [("laughs", 2.0), ("laughs", 2.2), ("laughs", 4.0)])
    assert [event.slot for event in events_of(made.values, "laughs", 0.5)] == [2, 4]
    assert events_of(made.values, "laughs", 0.95) == []


def test_superbench_is_counted_as_the_benchmark_counts():
    """Three hits (one two words off), an event three words off, a clip without one, a second event."""
    events = [LAUGH, [("laughs", 4.0)], [("laughs", 5.4)], (), [*LAUGH, ("coughs", 1.0)]]
    clips = [clip(TAGGED, given, number=number) for number, given in enumerate(events)]
    row = results_by_name(summarise_superbench(clips, CALIBRATION))["superbench_f1"]
    assert (row.detail["precision"], row.detail["recall"]) == (3 / 5, 3 / 5)
    assert row.estimate.value == pytest.approx(row.detail["f1"]) == pytest.approx(0.6)
