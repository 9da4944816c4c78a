"""Speak a script: ``python -m dia.generate text="[S1] Hello there. (laughs) [S2] Hello!" out=hello.wav``."""

from dataclasses import asdict
from pathlib import Path

import numpy as np

from dia.audio.stretch import require_speed, stretch
from dia.codecs.protocol import frames_per_second
from dia.config.compose import run
from dia.config.generate import GenerateConfig
from dia.errors import UserError
from dia.inference import Voice
from dia.model import Dia
from dia.types import Waveform


def main(config: GenerateConfig) -> None:
    """Speak ``config.text`` into ``config.out``. Raises ``UserError`` for a bad script, checkpoint, voice or
    path.
    """
    require_speed(config.speed)
    if not config.text:
        raise UserError('text is empty; write text="[S1] Hello there. [S2] Hello!"')
    if not Path(config.out).parent.is_dir():
        raise UserError(
            f"the folder {Path(config.out).parent} of out={config.out} is missing; make it, or write elsewhere"
        )
    if config.voice and (config.audio_prompt or config.max_seconds):
        raise UserError(
            "with voice=... neither audio_prompt=... nor max_seconds=... has a meaning; leave them out"
        )
    dia = Dia.from_pretrained(
        config.ckpt,
        codec=config.codec.name or None,
        quantization=config.quantization,
        adapter=config.adapter or None,
    )
    dia.sampling(**asdict(config.sampling))
    waveform = stretch(_spoken(dia, config), dia.codec.sample_rate, config.speed)
    dia.save_audio(config.out, waveform)
    print(f"wrote {config.out}: {len(waveform) / dia.codec.sample_rate:.1f} s at {dia.codec.sample_rate} Hz")


def _spoken(dia: Dia, config: GenerateConfig) -> Waveform:
    """With a voice a script of any length; without one what a single pass can say."""
    if config.voice:
        pieces = dia.speak_long(config.text, Voice.load(config.voice), config.seed, retries=config.retries)
        return np.concatenate([np.zeros(0, dtype=np.float32), *pieces])
    dia.require_script(config.text)
    room = dia.network.config.decoder.max_positions
    if config.max_seconds:
        wanted = round(config.max_seconds * frames_per_second(dia.codec)) + 2 + max(dia.network.config.delays)
        room = min(room, wanted)
    prompt = config.audio_prompt or None
    waveform: Waveform = dia.generate(
        config.text, room, audio_prompt=prompt, seed=config.seed, retries=config.retries
    )
    return waveform


if __name__ == "__main__":
    run("generate", main)
