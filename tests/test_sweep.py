"""A sweep's trials are real runs in processes of their own; what is asked of Optuna beside them is tried
without.
"""

import csv
import signal
import sys
from pathlib import Path

import optuna
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from optuna.trial import TrialState

from dia.config.sweep import SweepConfig
from dia.errors import StorageError, UserError
from dia.interrupts import Interrupted
from dia.pipelines.sweep.search import search
from dia.pipelines.sweep.space import Choices, Range, literal, read_space
from dia.pipelines.sweep.study import STUDY, open_study, outcomes, reported
from dia.pipelines.sweep.trial import TrialFailed, Trials
from dia.sweep import read_arguments, sweep
from dia.training.run_folder import run_lock
from tests.tiny_world import TinyWorld

SPACE = {"optim.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}}
WORDS = st.one_of(st.sampled_from(["true", "null", "NaN", "1e3"]), st.text("abc '\\_-./1", max_size=8))


def test_three_trials_are_trained_two_at_a_time(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    world = TinyWorld(tmp_path / "tiny")
    small = [
        item for item in world.overrides(tmp_path) if not item.startswith(("runs=", "batch.max_frames="))
    ]
    command = [
        *small,
        *world.shape(),
        "sweep.space={batch.max_frames: [150, 200, 250]}",
        "sweep.sampler=grid",
        "sweep.name=frames",
        "sweep.devices=[0, 1]",
    ]
    sweep(command)
    said = capsys.readouterr().out
    assert (
        "the best of 3 trials" in said
        and "0 pruned, 0 failed" in said
        and "python -m dia.train data=corpus" in said
    )
    folder = tmp_path / "sweeps" / "frames"
    rows = list(csv.DictReader((folder / "results.csv").open()))
    assert sorted(row["batch.max_frames"] for row in rows) == ["150", "200", "250"]
    assert all(row["state"] == "complete" and float(row["value"]) > 0 for row in rows)
    assert {path.name for path in folder.glob("trial-*")} == {
        f"trial-{number:04d}{end}" for number in range(3) for end in ("", ".log")
    }
    sweep(command)
    assert not (folder / "trial-0003").exists(), "all of the grid has been tried"
    with pytest.raises(UserError, match="other settings"):
        sweep([*command, "sweep.select=best"])


class Pretended(Trials):
    """Trials that train nothing: what a run logs is looked up by its number."""

    def __init__(self, folder, told):
        super().__init__(folder, [], "validation/loss")
        self.told, self.names, self.chosen = told, [], []

    def run(self, name, chosen, look):
        self.names.append(name)
        self.chosen.append(chosen)
        told = self.told[len(self.names) - 1]
        if isinstance(told, BaseException):
            raise told
        for number in range(len(told)):
            if look(list(enumerate(told))[: number + 1]):
                break
        return list(enumerate(told))


def swept(folder, told, **settings):
    config = SweepConfig(space=SPACE, **settings)
    axes, _ = read_space(config.space)
    study = open_study(config, axes, [], folder)
    trials = Pretended(folder, told)
    search(study, config, axes, trials)
    return study, trials


@pytest.mark.parametrize("begun", [1, 2, 3])
def test_a_grid_resumes_whichever_trial_was_interrupted(tmp_path, begun):
    """The sampler of a grid stops a study after its last trial."""
    config = SweepConfig(space={"batch.max_frames": [150, 200, 250]}, sampler="grid")
    axes, _ = read_space(config.space)
    study = open_study(config, axes, [], tmp_path)
    for _ in range(begun):
        trial = study.ask()
        trial.set_user_attr("run", f"trial-{trial.number:04d}")
        axes[0].suggest(trial)
    study = open_study(config, axes, [], tmp_path)
    search(study, config, axes, Pretended(tmp_path, [[1.0], [2.0], [3.0]]))
    ended = outcomes(study)
    assert sorted(trial.params["batch.max_frames"] for trial in ended) == ["150", "200", "250"]
    assert all(trial.state == TrialState.COMPLETE for trial in ended)


def test_no_queued_trial_is_run_twice(tmp_path):
    """SQLite has no locks of rows: Optuna gives threads that ask at the same time the same queued trial."""
    devices = list(range(8))
    config = SweepConfig(space={"batch.max_frames": list(range(150, 182))}, sampler="grid", devices=devices)
    axes, _ = read_space(config.space)
    study = open_study(config, axes, [], tmp_path)
    trials = Pretended(tmp_path, [[1.0]] * 40)
    search(study, config, axes, trials)
    assert sorted(trials.names) == [f"trial-{number:04d}" for number in range(32)]
    assert [trial.state for trial in outcomes(study)] == [TrialState.COMPLETE] * 32


def test_failures_count_and_the_rest_goes_on(tmp_path):
    study, _ = swept(tmp_path, [[3.0, 2.0], TrialFailed("exit code 1: no memory"), [2.5]], trials=3)
    states = [trial.state for trial in outcomes(study)]
    assert states == [TrialState.COMPLETE, TrialState.FAIL, TrialState.COMPLETE] and study.best_value == 2.0
    assert outcomes(study)[1].user_attrs["failure"] == "exit code 1: no memory"


def test_the_best_of_a_run_and_a_figure_that_should_be_large(tmp_path):
    study, _ = swept(tmp_path, [[0.1, 0.7, 0.2], [0.3, 0.4, 0.5]], trials=2, mode="max", select="best")
    assert study.best_value == 0.7


def test_a_sweep_that_was_stopped_goes_on_with_the_trial_it_was_in(tmp_path):
    with pytest.raises(SystemExit):
        swept(tmp_path, [[3.0], SystemExit(143)], trials=3)
    study, trials = swept(tmp_path, [[2.0], [1.0]], trials=3)
    assert trials.names == ["trial-0001", "trial-0003"], "the run that was broken off is the first to go on"
    ended = outcomes(study)
    assert len(ended) == 3 and all(trial.state == TrialState.COMPLETE for trial in ended)
    broken = study.get_trials()[1]
    assert broken.state == TrialState.FAIL and trials.chosen[0] == [
        f"optim.learning_rate={broken.params['optim.learning_rate']!r}"
    ]
    _, more = swept(tmp_path, [], trials=3)
    assert more.names == []


def test_a_trial_that_stands_badly_is_ended(tmp_path):
    good, bad = [3.0, 2.0, 1.0], [9.0, 9.0, 9.0]
    study, _ = swept(tmp_path, [good] * 5 + [bad], trials=6, prune=True)
    assert outcomes(study)[5].state == TrialState.PRUNED


def test_a_run_that_an_earlier_sweep_still_trains_is_left_alone(tmp_path):
    trials = Trials(tmp_path, [], "validation/loss")
    trials.require_ended("trial-0000")
    with run_lock(tmp_path / "trial-0000"), pytest.raises(UserError, match="another process trains in"):
        trials.require_ended("trial-0000")
    trials.require_ended("trial-0000")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "import sys; print('no room', file=sys.stderr); sys.exit(3)",
            r"exit code 3: no room \(complete output: .*trial-0000\.log",
        ),
        ("pass", "the run logged no validation/loss"),
    ],
)
def test_a_run_that_fails_says_why(tmp_path, code, said):
    trials = Trials(tmp_path, [], "validation/loss", program=(sys.executable, "-c", code))
    with pytest.raises(TrialFailed, match=said):
        trials.run("trial-0000", [], lambda found: False)


def test_a_run_goes_on_where_it_was_and_one_that_ended_unseen_is_not_made_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = "import sys, pathlib; pathlib.Path('arguments').write_text(' '.join(sys.argv[1:]))"
    trials = Trials(tmp_path, ["seed=1"], "validation/loss", [7], (sys.executable, "-c", code))
    run = tmp_path / "trial-0000"
    for begun in (False, True):
        (run / "checkpoints").mkdir(parents=True)
        if begun:
            (run / "config.yaml").touch()
        with pytest.raises(TrialFailed, match="logged no"):
            trials.run(run.name, ["a=2"], lambda found: False)
        assert Path("arguments").read_text() == f"seed=1 a=2 runs={tmp_path} run_name=trial-0000"
        assert run.is_dir() == begun, "what was broken off before it began is cleared away"
    Path("arguments").unlink()
    (run / "metrics.csv").write_text("step,validation/loss\n3,2.5\n")
    (run / "finished.json").touch()
    assert trials.run(run.name, ["a=2"], lambda found: False) == [(3, 2.5)] and not Path("arguments").exists()


@pytest.mark.parametrize("code", [143, 130, 75, -signal.SIGTERM])
@pytest.mark.parametrize("devices", [[], [0, 1]])
def test_a_trial_that_a_signal_ended_is_not_complete_and_resumes(tmp_path, code, devices):
    """`scancel` and preemption reach the trial, whether or not they reach the sweep."""
    leave = f"os.kill(os.getpid(), {-code})" if code < 0 else f"sys.exit({code})"
    program = """import os, sys, pathlib
arguments = dict(item.partition("=")[::2] for item in sys.argv[1:])
run = pathlib.Path(arguments["runs"], arguments["run_name"])
run.mkdir(exist_ok=True)
(run / "config.yaml").touch()
(run / "metrics.csv").write_text("step,validation/loss\\n3,2.5\\n")
if run.name == "trial-0001" and not (run / "begun").exists():
    (run / "begun").touch()
    LEAVE
""".replace("LEAVE", leave)
    config = SweepConfig(space=SPACE, trials=3, devices=devices)
    axes, _ = read_space(config.space)
    opened = open_study(config, axes, [], tmp_path)
    with pytest.raises(Interrupted):
        search(
            opened,
            config,
            axes,
            Trials(tmp_path, [], config.metric, devices, (sys.executable, "-c", program)),
        )
    assert TrialState.COMPLETE not in [
        trial.state for trial in opened.get_trials() if trial.user_attrs["run"] == "trial-0001"
    ]
    opened = open_study(config, axes, [], tmp_path)
    search(
        opened, config, axes, Trials(tmp_path, [], config.metric, devices, (sys.executable, "-c", program))
    )
    assert [trial.state for trial in outcomes(opened)] == [TrialState.COMPLETE] * 3
    assert len(list(tmp_path.glob("trial-????"))) == 3 and (tmp_path / "trial-0001").is_dir()


def test_a_study_that_cannot_be_written_is_reported(tmp_path):
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / STUDY).mkdir()
    config = SweepConfig(space=SPACE)
    with pytest.raises(StorageError, match=r"study\.db cannot be written"), reported(tmp_path / "sweep"):
        open_study(config, read_space(config.space)[0], [], tmp_path / "sweep")


def test_all_problems_of_a_sweep_are_reported_at_once():
    with pytest.raises(UserError) as caught:
        sweep(
            [
                "sweep.name=a/b",
                "sweep.trials=-1",
                "run_name=mine",
                "seed=1",
                "trainer.steps=0",
                "sweep.space={optim.learning_rate: {low: 2, high: 1}, seed: [1, 2], optim.beta3: [1], "
                "batch.max_frames: []}",
            ]
        )
    for part in (
        "sweep.name='a/b'",
        "sweep.trials=-1",
        "low is not below its high",
        "beta3",
        "no choice",
        "run_name is set by the sweep",
        "seed is searched and given",
    ):
        assert part in str(caught.value), part
    with pytest.raises(UserError, match=r"trainer\.steps=0"):
        sweep(["trainer.steps=0", "sweep.space={seed: [1, 2]}"])
    with pytest.raises(
        UserError, match=r"(?s)sweep.trails=3.*sweep.trials=3\?.*choose one of tpe, random, grid"
    ):
        read_arguments(["sweep.trails=3", "sweep.sampler=magic"])


def test_ranges_and_choices_are_read():
    axes, problems = read_space(
        {"a": {"low": 1, "high": 8}, "b": {"low": 0.1, "high": 1, "log": True}, "c": [True, None, "x"]}
    )
    assert not problems and axes == [
        Range("a", 1, 8, False, None),
        Range("b", 0.1, 1, True, None),
        Choices("c", ("true", "null", "x")),
    ]
    trial = optuna.trial.FixedTrial({"a": 3, "b": 0.25, "c": "null"})
    assert [axis.suggest(trial) for axis in axes] == ["3", "0.25", "null"]
    wrong = {
        "a": 3,
        "b": {"low": 0, "high": 1, "log": True},
        "c": {"low": "x", "high": 1},
        "d": {"low": 0, "high": 1, "lgo": 1},
    }
    assert len(read_space(wrong)[1]) == 4 and len(read_space({"a": {"low": 0, "high": 1}}, grid=True)[1]) == 1


@given(
    st.one_of(
        st.none(), st.booleans(), st.integers(-99, 99), st.floats(-9, 9), WORDS, st.lists(WORDS, max_size=3)
    )
)
def test_hydra_reads_what_was_written(value):
    read = OverridesParser.create().parse_override(f"x={literal(value)}").value()
    assert OmegaConf.create({"x": read}) == OmegaConf.create({"x": value})


def test_the_study_lies_in_the_sweep_s_folder(tmp_path):
    swept(tmp_path, [[1.0]], trials=1)
    assert (tmp_path / STUDY).is_file()
