"""Terms of rewards from the values of metrics, and the rewards of a group of takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dia.config.judges import JudgesConfig
from dia.config.rewards import FAILURES
from dia.config.rewards import TERMS as NAMES
from dia.evaluation.metrics.failures import KINDS
from dia.evaluation.metrics.registry import build_metrics
from dia.evaluation.rewards import TERMS, TakeScores, group_rewards, metrics_of_terms
from dia.judges.events import Calibration


def take(failures=(), **terms):
    return TakeScores(terms, tuple(failures))


WEIGHTS = {"words": 1.0, "mos": 0.5}


@given(
    st.lists(st.tuples(st.floats(-1, 0), st.floats(1, 5), st.booleans()), min_size=2, max_size=9),
    st.randoms(),
)
def test_a_take_with_a_veto_is_below_its_group_and_order_does_not_matter(values, rng):
    takes = [take(["loop"] if vetoed else [], words=words, mos=mos) for words, mos, vetoed in values]
    rewards = group_rewards(takes, WEIGHTS, ["loop"], 0.5)
    for (words, mos, vetoed), reward in zip(values, rewards, strict=True):
        lowest = min(one + 0.5 * other for one, other, _ in values)
        assert reward == (lowest - 0.5 if vetoed else words + 0.5 * mos)
    order = list(range(len(takes)))
    rng.shuffle(order)
    assert group_rewards([takes[place] for place in order], WEIGHTS, ["loop"], 0.5) == [
        rewards[place] for place in order
    ]


def test_a_term_that_is_not_measured_counts_as_zero():
    assert group_rewards([take(words=-0.5), take(mos=4.0)], WEIGHTS, [], 0.5) == [-0.5, 2.0]


def test_the_names_of_the_config_are_those_of_the_evaluation():
    assert set(NAMES) == set(TERMS)
    assert set(FAILURES) <= set(KINDS)
    known = {metric.name for metric in build_metrics(JudgesConfig(), {})}
    assert {*metrics_of_terms(NAMES)} <= known


SURE = Calibration(0.5, 1.0, 1.0, 200, 200)
TAGS = {"laughs": SURE, "coughs": SURE, "sighs": Calibration(0.5, 0.6, 0.6, 20, 20)}


def sounds(asked, **highest):
    return {
        "asked": [{"tag": tag, "slot": 0, "speaker": 1} for tag in asked],
        "scores": {tag: [0.1, score] for tag, score in highest.items()},
    }


@pytest.mark.parametrize(
    ("values", "tags", "insertions"),
    [
        (sounds(["laughs"], laughs=0.9, coughs=0.1), 1.0, 0.0),
        (sounds(["laughs"], laughs=0.1, coughs=0.9), -1.0, -1.0),
        (sounds([], laughs=0.9, coughs=0.1), -0.5, -0.5),
        (sounds(["sighs"], laughs=0.1, coughs=0.1, sighs=0.9), 0.0, 0.0),  # not measurable
        (sounds(["laughs", "coughs"], laughs=0.9, coughs=0.1), 0.5, None),
    ],
)
def test_tags_count_their_sounds_and_those_of_others(values, tags, insertions):
    assert TERMS["tags"].value(values, TAGS) == tags
    assert TERMS["insertions"].value(values, TAGS) == insertions


def test_tags_without_a_calibration_are_not_measured():
    assert TERMS["tags"].value(sounds(["laughs"]), {}) is None


@pytest.mark.parametrize(
    ("nearest", "located", "expected"),
    [
        ([1, 2], [True, True], 1.0),
        ([2, 2], [True, True], 0.5),
        ([1, None], [True, False], 0.5),  # a turn that was not located is wrong
        ([1, None], [True, True], 1.0),  # one that is too short is not judged
    ],
)
def test_turns_of_the_right_voice(nearest, located, expected):
    values = {"voices": 2, "speakers": [1, 2], "nearest": nearest, "found": located}
    assert TERMS["right_speaker"].value(values, {}) == expected
    assert TERMS["right_speaker"].value(values | {"voices": 1}, {}) is None


def test_word_errors_are_limited():
    assert TERMS["words"].value({"errors": 30, "words": 10}, {}) == -1.0
    assert TERMS["words"].value({"errors": 1, "words": 10}, {}) == -0.1
