import copy

import pytest
import torch
import torch.nn.functional as F

from dia.checkpoint import CodecReference, save_checkpoint
from dia.data.collation import collate
from dia.inference import Request, Sampling, generate_codes
from dia.inference.sampling import guidance_scale, guide
from dia.model import Dia
from dia.training.objectives.guided_distillation import GuidedDistillation
from tests.conftest import TINY
from tests.data.test_data import examples

GUIDED = Sampling(cfg_scale=3.0, cfg_filter_top_k=8)


def batch(count=4):
    return collate(examples(count), [False] * count, TINY)


@pytest.mark.parametrize(
    "sampling",
    [
        GUIDED,
        Sampling(2.0, cfg_filter_top_k=None, draw_guided=True),
        Sampling(3.0, cfg_final=1.0, cfg_steps=5),
    ],
)
def test_the_loss_is_the_divergence_from_the_distribution_of_guided_inference(tiny, sampling):
    student, given = copy.deepcopy(tiny), batch()
    student.logits_dense.weight.data *= 0.5
    with torch.no_grad():
        cond, uncond = (
            tiny(text, given.text_mask_BS, given.inputs_BTC)
            for text in (given.text_BS, torch.zeros_like(given.text_BS))
        )
        own = student(given.text_BS, given.text_mask_BS, given.inputs_BTC).log_softmax(-1)
    wanted = torch.zeros(4)
    for clip in range(4):
        for step in range(cond.shape[1]):
            scale = guidance_scale(sampling, torch.tensor([step]))
            guidance = guide(cond[clip, step][None], uncond[clip, step][None], sampling, scale)
            for channel in range(4):
                if given.targets_BTC[clip, step, channel] <= TINY.decoder.eos:
                    candidates = guidance.ids_BCK[0, channel]
                    probabilities = guidance.logits_BCK[0, channel].softmax(-1)
                    wanted[channel] += F.kl_div(
                        own[clip, step, channel][candidates], probabilities, reduction="sum"
                    )
    result = GuidedDistillation(tiny, sampling, piece=7)(student, given)
    torch.testing.assert_close(result.cross_entropy_C, wanted, atol=1e-4, rtol=1e-4)
    assert torch.equal(result.count_C, (given.targets_BTC <= TINY.decoder.eos).sum((0, 1)))
    ends = given.targets_BTC[..., 0] == TINY.decoder.eos
    torch.testing.assert_close(
        result.eos_cross_entropy, -own[..., 0, TINY.decoder.eos][ends].sum(), atol=1e-4, rtol=1e-4
    )


def test_chunking_changes_no_gradient_and_the_teacher_has_none(tiny):
    gradients = []
    for piece in (5, 1000):
        student, teacher = copy.deepcopy(tiny), copy.deepcopy(tiny)
        GuidedDistillation(teacher, GUIDED, piece)(student, batch()).cross_entropy_C.sum().backward()
        gradients.append([parameter.grad for parameter in student.parameters()])
        assert all(parameter.grad is None for parameter in teacher.parameters())
    for first, second in zip(*gradients, strict=True):
        torch.testing.assert_close(first, second, atol=1e-5, rtol=1e-4)


def test_a_student_without_guidance_learns_the_guided_teacher(tiny, tmp_path, monkeypatch):
    student, given = copy.deepcopy(tiny).train(), batch()
    objective = GuidedDistillation(copy.deepcopy(tiny), GUIDED)
    optimizer = torch.optim.AdamW(student.parameters(), lr=3e-3)
    divergences = []
    for _ in range(120):
        sums = objective(student, given)
        loss = sums.cross_entropy_C.sum() / sums.count_C.sum()
        divergences.append(float(loss))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert divergences[-1] < divergences[0] / 10, divergences[::20]

    save_checkpoint(
        student,
        tmp_path / "model",
        CodecReference("codec_nano", "0" * 64),
        vars(GuidedDistillation.inference_sampling(GUIDED)),
    )
    dia = Dia.from_pretrained(str(tmp_path / "model"), device="cpu", load_dac=False)
    assert dia.default_sampling.cfg_scale == 0 and not dia.default_sampling.guided
    rows = []
    step = dia.network.next_logits
    monkeypatch.setattr(
        dia.network, "next_logits", lambda tokens, cache: (rows.append(len(tokens)), step(tokens, cache))[1]
    )
    generate_codes(dia.network, [Request("[S1] Hello."), Request("[S2] No.")], dia.default_sampling, 20)
    assert set(rows) <= {1, 2} and rows[0] == 2
    assert (
        Dia.from_pretrained(str(tmp_path / "model"), device="cpu", load_dac=False)
        .sampling(cfg_scale=3.0)
        .default_sampling.guided
    )


def test_transformers_opens_a_student_without_guidance(tiny, tmp_path):
    transformers = pytest.importorskip("transformers")
    save_checkpoint(tiny, tmp_path / "model", None, vars(GuidedDistillation.inference_sampling(GUIDED)))
    theirs = transformers.DiaForConditionalGeneration.from_pretrained(tmp_path / "model")
    assert theirs.generation_config.guidance_scale is None and theirs.generation_config.top_k == 8
