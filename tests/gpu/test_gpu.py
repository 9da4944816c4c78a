"""What a GPU does is what the CPU does. Skipped where there is none.

Sums are added in another order there, so numbers agree to rounding, and tokens where no two are as likely.
"""

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from lightning.pytorch.utilities import move_data_to_device
from safetensors.torch import load_file

from dia.data.collation import Example, collate
from dia.inference import Request, Sampling, generate_codes
from dia.inference.engine import stream_codes
from dia.inference.quantization import quantize
from dia.training.float8 import has_float8, use_float8
from dia.training.objectives.cross_entropy import CrossEntropy
from dia.training.run_folder import read_metrics
from tests.training.whole_runs import GROUPS, PAIRS, make_noise, make_pairs, start

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")
ROOT = Path(__file__).parent.parent.parent
REQUESTS = [Request("[S1] One.", 1), Request("[S1] Two, and more. [S2] Three.", 2), Request("[S2] Four.", 3)]
SAMPLING = Sampling(cfg_scale=2.0, temperature=1.0, top_p=0.9, cfg_filter_top_k=20)
STEPS = 60


@pytest.mark.parametrize("compiled", [False, True])
def test_a_gpu_says_what_the_cpu_says(tiny, compiled):
    wanted = generate_codes(tiny, REQUESTS, SAMPLING, STEPS)
    there = copy.deepcopy(tiny).cuda()
    for _ in range(2):  # the second time graphs are captured anew, over other buffers
        for item, other in zip(
            generate_codes(there, REQUESTS, SAMPLING, STEPS, compiled), wanted, strict=True
        ):
            assert torch.equal(item.codes_TC.cpu(), other.codes_TC) and item.ended == other.ended


def test_a_stream_is_the_whole_also_on_a_gpu(tiny):
    there = copy.deepcopy(tiny).cuda()
    (whole,) = generate_codes(there, REQUESTS[:1], SAMPLING, STEPS)
    pieces = list(stream_codes(there, REQUESTS[0], SAMPLING, STEPS, frames=7, compiled=True))
    assert torch.equal(torch.cat([piece.codes_TC for piece in pieces]), whole.codes_TC)


@pytest.mark.parametrize(("kind", "error"), [("int8", 0.06), ("fp8", 0.1)])
def test_a_quantized_network_on_a_gpu_is_close(tiny, kind, error):
    pytest.importorskip("torchao")
    text, mask, tokens = (
        torch.full((1, 9), 70),
        torch.ones(1, 9, dtype=torch.bool),
        torch.randint(0, 32, (1, 12, 4)),
    )
    there = copy.deepcopy(tiny).cuda()
    quantize(there, kind)
    with torch.inference_mode():
        wanted, made = tiny(text, mask, tokens), there(text.cuda(), mask.cuda(), tokens.cuda()).cpu()
    assert (made - wanted).norm() / wanted.norm() < error


@pytest.mark.skipif(not has_float8(), reason="this GPU has no fp8 products")
def test_a_network_learns_with_products_in_fp8(tiny):
    pytest.importorskip("torchao")
    tiny.to("cuda")
    use_float8(tiny)
    clips = [Example("", torch.randint(1, 200, (n,)), torch.randint(0, 32, (3 * n, 4))) for n in (5, 20, 9)]
    batch = move_data_to_device(collate(clips, [False] * 3, tiny.config), torch.device("cuda"))
    optimizer, losses = torch.optim.AdamW(tiny.parameters(), 3e-3), []
    for _ in range(30):
        with torch.autocast("cuda", torch.bfloat16):
            loss = CrossEntropy(1.0)(tiny, batch).total(torch.ones(4, device="cuda"))
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < 0.8 * losses[0]


def test_packed_clips_have_the_gradient_of_padded_clips(tiny):
    tiny.to("cuda")
    clips = [Example("", torch.randint(1, 200, (n,)), torch.randint(0, 32, (3 * n, 4))) for n in (5, 20, 9)]

    def gradients(packed):
        batch = collate(clips, [False] * 3, tiny.config, packed=packed)
        batch = move_data_to_device(batch, torch.device("cuda"))
        tiny.zero_grad()
        with torch.autocast("cuda", torch.bfloat16):
            CrossEntropy(1.0)(tiny, batch).total(torch.ones(4, device="cuda")).backward()
        return {name: weight.grad.clone() for name, weight in tiny.named_parameters()}

    padded = gradients(packed=False)
    for name, gradient in gradients(packed=True).items():
        assert (gradient - padded[name]).norm() < 0.03 * padded[name].norm(), name


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """Runs on the CPU and, with the loader in processes of its own, on the GPU: alone, and as the one of
    torchrun.
    """
    folder = tmp_path_factory.mktemp("gpu")
    make_noise(folder)
    there = ("trainer.accelerator=cuda", "trainer.num_workers=2")
    for name, *overrides in (
        ("cpu",),
        ("cuda", *there),
        ("fused", *there, "trainer.compile=true", "trainer.activation_checkpointing=layers"),
    ):
        process = start(folder, name, *overrides)
        process.join()
        assert process.exitcode == 0, (folder / f"{name}.log").read_text()[-3000:]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=1"]
    runs = ["ddp", *there, "trainer.strategy=ddp", "+", "fsdp2", *there, "trainer.strategy=fsdp2"]
    done = subprocess.run(
        [*torchrun, "-m", "tests.training.whole_runs", folder, *runs],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:] + "".join(
        path.read_text()[-3000:] for path in folder.glob("*.log")
    )
    return folder


@pytest.mark.parametrize("name", ["cuda", "fused", "ddp", "fsdp2"])
def test_a_gpu_trains_as_the_cpu_does(work, name):
    for here, there in zip(
        read_metrics(work / "runs" / "cpu"), read_metrics(work / "runs" / name), strict=True
    ):
        for key in ("train/loss", "validation/loss", "train/gradient_norm"):
            assert here.get(key, "") == there.get(key, "") or float(there[key]) == pytest.approx(
                float(here[key]), rel=1e-3
            ), key
    here, there = (load_file(work / "runs" / run / "model" / "model.safetensors") for run in ("cpu", name))
    for key, tensor in here.items():
        torch.testing.assert_close(
            there[key], tensor, rtol=0, atol=2e-3, msg=lambda text, key=key: f"{key}: {text}"
        )


@pytest.mark.parametrize("overrides", [(*PAIRS, "objective=dpo"), GROUPS], ids=["dpo", "grpo"])
def test_a_gpu_learns_from_preferences_as_the_cpu_does(work, overrides):
    """A sampled take of GRPO may differ by rounding, so that its weights agree less."""
    if not (work / "noise" / "pairs.jsonl").exists():
        make_pairs(work)
    name = "grpo" if overrides is GROUPS else "dpo"
    for accelerator in ("cpu", "cuda"):
        there = (f"trainer.accelerator={accelerator}", "init_from=runs/cpu")
        process = start(work, f"{name}_{accelerator}", *overrides, *there)
        process.join()
        assert process.exitcode == 0, (work / f"{name}_{accelerator}.log").read_text()[-3000:]
    here, there = (
        load_file(work / "runs" / f"{name}_{accelerator}" / "model" / "model.safetensors")
        for accelerator in ("cpu", "cuda")
    )
    for key, tensor in here.items():
        torch.testing.assert_close(there[key], tensor, rtol=0, atol=2e-2 if name == "grpo" else 2e-3)


def test_kokoro_on_a_gpu_speaks_as_on_a_cpu():
    pytest.importorskip("hibari")
    from dia.data.sources.kokoro import Kokoro
    from tests.data.test_onnx_graph import SENTENCE, distance

    there, here = (Kokoro("am_michael", device).speak(SENTENCE, 1.0, 0) for device in ("cuda", "cpu:0"))
    assert len(there) == pytest.approx(len(here), rel=0.02)
    assert distance(there, here) < 3.5  # two voices differ by 14
