"""Adapters, a teacher and EMA weights give the same results on two processes as on one."""

import pytest
import torch
from safetensors.torch import load_file

from tests.training.whole_runs import make_noise, start, start_two

STEPS = ("trainer.steps=6", "trainer.validate_every=3", "init_from=runs/first", "ema.decay=0.7")
WAYS = {
    "lora": ("lora.rank=4", "lora.dropout=0.1"),
    "distilled": ("objective=guided_distillation", "sampling.cfg_filter_top_k=20", "batch.text_dropout=0"),
}


def ended(folder, name, *processes):
    for process in processes:
        process.join()
    assert all(process.exitcode == 0 for process in processes), (folder / f"{name}.log").read_text()[-3000:]


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """Return a folder with a corpus and a first run from which the other runs start."""
    folder = tmp_path_factory.mktemp("ways")
    make_noise(folder)
    ended(folder, "first", start(folder, "first", "trainer.steps=3"))
    return folder


@pytest.mark.parametrize("way", WAYS)
def test_two_processes_give_the_results_of_one(work, way):
    one, two = f"{way}-one", f"{way}-two"
    ended(work, one, start(work, one, *STEPS, *WAYS[way], "trainer.gradient_accumulation_steps=2"))
    ended(work, two, *start_two(work, two, *STEPS, *WAYS[way], "trainer.strategy=fsdp2"))
    for file in (
        "model/model.safetensors",
        *(["adapter/adapter_model.safetensors"] if way == "lora" else []),
    ):
        wanted, actual = (load_file(work / "runs" / name / file) for name in (one, two))
        assert wanted.keys() == actual.keys()
        for name, tensor in wanted.items():
            torch.testing.assert_close(
                actual[name], tensor, rtol=0, atol=5e-6, msg=lambda text, name=name: f"{name}: {text}"
            )
