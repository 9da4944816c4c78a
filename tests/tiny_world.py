"""What a training run needs, as small as it gets: sounds with a table, a codec, a checkpoint in nari's
layout.

The sounds are noise, so nothing can be learned but the codes themselves; a run of two steps takes a second.
"""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import soundfile
import torch

from dia.checkpoint import convert, read_source, save_checkpoint
from dia.codecs.spectral import save_spectral
from dia.codecs.spectral_network import SpectralNetwork
from dia.network import DiaNetwork
from dia.pipelines.sweep.space import literal
from tests.conftest import TINY, TINY_CODEC

RATE = 16_000
ROWS = [  # words, speaker, emotion, events
    ("[S1] Hello there. (laughs)", "anna", "happy", "laughs 0.8 1.1"),
    ("[S1] So it goes.", "ben", "sad", ""),
    ("[S1] And then we left.", "anna", "neutral", ""),
    ("[S1] Well. (sighs) Not today.", "ben", "", "sighs 0.5 0.9"),
]


class TinyWorld:
    """The folder of it all, and the overrides that shrink a recipe to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.corpus, self.codec, self.init = (folder / name for name in ("corpus", "codec", "init"))
        self._write_corpus()
        torch.manual_seed(0)
        save_spectral(SpectralNetwork(TINY_CODEC), self.codec)
        save_checkpoint(DiaNetwork(TINY), folder / "ours", None)
        convert(read_source(folder / "ours"), "nari", self.init)

    def overrides(self, runs: Path, steps: int = 2, *, codec: bool = False, pairs: bool = False) -> list[str]:
        """Overrides for a run of any recipe on one CPU, without its choice of a checkpoint or a shape.

        A run that trains a ``codec`` has no model, no codec and no validation. ``pairs`` reads a table of
        pairs instead of the corpus.
        """
        corpus = [
            "data=corpus",
            "data.corpus=local",
            f"data.path={self.corpus}",
            "data.streaming=false",
        ]
        table = [
            "data=preferences",
            "data.preferences.origin=table",
            f"data.preferences.table={self.folder / 'pairs.jsonl'}",
        ]
        of_dia = [
            f"codec.name={self.codec}",
            "batch.max_frames=200",
            "validation.generate_every=0",
            "alignment.layers=[1]",  # of the two layers of the tiny model
        ]
        shared = [
            f"runs={runs}",
            *(table if pairs else corpus),
            "data.name=tiny",
            f"data.root={self.folder / 'prepared'}",
            f"data.sample_rate={RATE}",
            "engine.workers=0",
            "trainer=cpu",
            "trainer.strategy=single",
            "trainer.devices=0",
            "trainer.precision=32-true",
            "trainer.gradient_accumulation_steps=1",
            f"trainer.steps={steps}",
            "trainer.validate_every=1",
            "trainer.checkpoint_every=1",
            "logger.wandb=disabled",
        ]
        return shared if codec else shared + of_dia

    def shape(self) -> list[str]:
        """Overrides of the model's shape."""
        return [f"model.{key}={value}" for key, value in _flat(asdict(TINY))]

    def codec_training(self) -> list[str]:
        """Overrides of the codec's own training."""
        small = [
            "codec_training.steps=2",
            "codec_training.refiner_start=1",
            "codec_training.clip_samples=6400",
            "codec_training.batch_size=2",
        ]
        return [*(f"spectral.{key}={value}" for key, value in _flat(asdict(TINY_CODEC))), *small]

    def _write_corpus(self) -> None:
        self.corpus.mkdir(parents=True)
        rng = np.random.default_rng(0)
        rows = []
        for number in range(16):
            text, speaker, emotion, events = ROWS[number % 4]
            waveform = 0.1 * rng.standard_normal(round((1.2 + 0.04 * number) * RATE))
            soundfile.write(self.corpus / f"{number}.wav", waveform, RATE)
            split = "validation" if number >= 12 else "train"
            rows.append(
                {
                    "audio": f"{number}.wav",
                    "text": text,
                    "split": split,
                    "speaker": speaker,
                    "emotion": emotion,
                    "events": events,
                }
            )
        (self.corpus / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        pairs = [
            {
                "script": row["text"],
                "split": row["split"],
                "chosen": f"corpus/{row['audio']}",
                "rejected": "corpus/0.wav",
            }
            for row in rows
        ]
        (self.folder / "pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))


def _flat(content: dict, before: str = "") -> list[tuple[str, str]]:
    flat = []
    for key, value in content.items():
        flat += (
            _flat(value, f"{before}{key}.") if isinstance(value, dict) else [(before + key, literal(value))]
        )
    return flat
