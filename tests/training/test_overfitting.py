"""A network overfits eight clips and generates their codes exactly."""

import lightning as L
import torch
from torch.utils.data import DataLoader

from dia.config.optimizer import OptimConfig, ScheduleConfig
from dia.dialogue.text import encode_text
from dia.inference import Request, Sampling, generate_codes
from dia.network import DiaNetwork
from dia.training.dia_module import DiaModule
from dia.training.objectives.cross_entropy import CrossEntropy
from tests.conftest import TINY
from tests.training.clips import RandomClips

TEXTS = [
    f"[S1] This is clip {name}." for name in ("one", "two", "three", "four", "five", "six", "seven", "eight")
]
STEPS = 300


def test_eight_clips_are_learned_and_generated_exactly():
    clips = RandomClips(
        [9, 12, 7, 15, 10, 6, 14, 11], texts=[torch.tensor(encode_text(text)) for text in TEXTS]
    )
    torch.manual_seed(0)
    task = DiaModule(
        DiaNetwork(TINY), CrossEntropy(), OptimConfig(learning_rate=1e-2), ScheduleConfig(10), STEPS, 4.0
    )
    trainer = L.Trainer(
        accelerator="cpu",
        max_steps=STEPS,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(task, DataLoader([clips.batch(*range(8))] * STEPS, batch_size=None))
    assert float(trainer.callback_metrics["train/loss"]) < 0.05
    greedy = Sampling(cfg_scale=0.0, temperature=0.0)
    generated = generate_codes(
        task.network.eval(), [Request(text) for text in TEXTS], greedy, TINY.decoder.max_positions
    )
    for speech, example in zip(generated, clips.clips, strict=True):
        assert speech.ended and torch.equal(speech.codes_TC, example.codes_TC), example.id
