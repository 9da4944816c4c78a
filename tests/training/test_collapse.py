"""The guard against reward hacking: what counts as a collapse, and that a run stops at it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from dia.config.callbacks import CollapseConfig
from dia.training.callbacks.collapse import DURATION, SPREADS, CollapseGuard, collapses
from dia.training.callbacks.divergence import TrainingFailed
from tests.training.small_run import Batches, task, trainer
from tests.training.test_generate_samples import sampler

FIRST = {
    "pitch_spread_semitones": 4.0,
    "energy_spread_decibels": 6.0,
    "similarity": 0.8,
    "duration_ratio": 1.0,
}


@given(st.dictionaries(st.sampled_from([*SPREADS, DURATION]), st.floats(0.01, 20)))
def test_only_a_fall_of_what_was_measured_is_a_collapse(last):
    problems = collapses(FIRST, last, CollapseConfig(lowest=0.75, farthest_duration=1.4))
    fallen = [name for name in SPREADS if name in last and last[name] < 0.75 * FIRST[name]]
    drifted = DURATION in last and not 1 / 1.4 <= last[DURATION] <= 1.4
    assert len(problems) == len(fallen) + drifted
    assert not collapses(FIRST, last, CollapseConfig(lowest=0.0))
    assert not collapses({}, last, CollapseConfig())


def run(folder, values, patience=2, steps=8):
    """Train with a validation every other step, whose samples have these pitch spreads."""
    rest = iter(values)

    def score(speeches):
        return FIRST | {"pitch_spread_semitones": next(rest)}, {}

    samples = sampler(folder, judge=score)
    guard = CollapseGuard(CollapseConfig(patience=patience), samples, folder)
    fitted = trainer(folder, [samples, guard], steps, validate_every=2)
    module = task(steps)
    fitted.fit(module, *(DataLoader(Batches(count), batch_size=None) for count in (steps, 1)))
    return guard


def test_a_run_stops_when_its_pitch_flattens(tmp_path):
    with pytest.raises(TrainingFailed, match=r"the pitch spread fell from 4\.00 to 2\.00, below 75%"):
        run(tmp_path, [4.0, 3.9, 2.9, 2.0])
    failure = json.loads((tmp_path / "failure.json").read_text())
    assert failure["kind"] == "collapsed" and failure["step"] == 6
    assert failure["details"]["first"]["pitch_spread_semitones"] == 4.0
    assert failure["details"]["last"]["pitch_spread_semitones"] == 2.0


def test_one_bad_validation_does_not_stop_a_run(tmp_path):
    assert run(tmp_path, [4.0, 2.0, 3.9, 2.0, 3.5]).collapsed == 0


def test_a_resumed_run_compares_with_the_first_samples(tmp_path):
    guard = run(tmp_path, [4.0, 3.9, 3.8, 3.7, 2.0])
    samples = sampler(tmp_path)
    again = CollapseGuard(CollapseConfig(), samples, tmp_path)
    again.load_state_dict(json.loads(json.dumps(guard.state_dict())))
    assert again.first["pitch_spread_semitones"] == 4.0 and again.collapsed == 1
    again.on_train_start(None, None)  # generates nothing
