"""DIA_HOME: a whole run leaves nothing in the working directory."""

from tests.processes import run_door
from tests.training.whole_runs import TINY_RUN, make_noise


def test_a_run_writes_below_the_home_folder_only(tmp_path):
    work, store = tmp_path / "work", tmp_path / "store"
    work.mkdir()
    make_noise(work)
    before = sorted(work.rglob("*"))
    short = ("trainer.steps=2", "schedule.warmup_steps=1", "trainer.validate_every=2", "run_name=short")
    done = run_door("train", *TINY_RUN, *short, cwd=work, environment={"DIA_HOME": str(store)})
    assert done.returncode == 0, done.stderr[-3000:]
    assert sorted(work.rglob("*")) == before
    assert {path.name for path in store.iterdir()} == {"outputs", "prepared", "runs"}
    assert (store / "runs" / "short" / "model" / "model.safetensors").is_file()
    spoken = run_door(
        "generate",
        "[S1] Hello there.",
        "ckpt=runs/short",
        "max_seconds=0.2",
        cwd=work,
        environment={"DIA_HOME": str(store)},
    )
    assert spoken.returncode == 0 and (work / "speech.wav").is_file(), spoken.stderr[-2000:]
