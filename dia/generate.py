"""Speak a script: ``python -m dia.generate text="[S1] Hello there. (laughs) [S2] Hello!" out=hello.wav``."""

from dataclasses import asdict
from pathlib import Path

import numpy as np

from dia.audio.codec import frames_per_second
from dia.conf import GenerateConfig, run
from dia.errors import UserError
from dia.model import Dia


def main(config: GenerateConfig) -> None:
    """Speak ``config.text`` into ``config.out``. Raises ``UserError`` for a bad script, checkpoint or path."""
    if not config.text:
        raise UserError('text is empty; write text="[S1] Hello there. [S2] Hello!"')
    dia = Dia.from_pretrained(config.ckpt, codec=config.codec.name or None).sampling(**asdict(config.engine))
    dia.require_script(config.text)
    room = dia.network.config.decoder.max_positions
    if config.max_seconds:
        wanted = round(config.max_seconds * frames_per_second(dia.codec)) + 2 + max(dia.network.config.delays)
        room = min(room, wanted)
    if config.out and not Path(config.out).parent.is_dir():
        raise UserError(f"the folder {Path(config.out).parent} of out={config.out} is missing; make it, or write elsewhere")
    wave = dia.generate(config.text, room, audio_prompt=config.audio_prompt or None, seed=config.seed)
    assert isinstance(wave, np.ndarray)  # one text gives one wave
    dia.save_audio(config.out, wave)
    print(f"wrote {config.out}: {len(wave) / dia.codec.sample_rate:.1f} s at {dia.codec.sample_rate} Hz")


if __name__ == "__main__":
    run("generate", main)
