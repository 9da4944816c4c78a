"""Commands that are killed or terminated at random moments end in the results of unbroken runs.

``scripts/kill_runs.py`` does the same with large numbers. Kills of `prepare` and `train` are in their own
tests.
"""

import signal

import pytest

from tests.interruptions import interrupt_door


@pytest.mark.slow
@pytest.mark.parametrize(
    ("door", "number", "count"),
    [
        ("prepare", signal.SIGTERM, 1),
        ("train", signal.SIGTERM, 2),
        ("record", signal.SIGKILL, 2),
        ("record", signal.SIGTERM, 2),
        ("eval", signal.SIGKILL, 1),
        ("sweep", signal.SIGKILL, 1),
    ],
)
def test_an_interrupted_command_ends_in_the_same_result(door, number, count, tmp_path):
    outcome = interrupt_door(door, number, count, tmp_path)
    assert outcome.interruptions == count and not outcome.problems
