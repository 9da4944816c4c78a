"""The command ``python -m dia.generate`` (``dia-generate``): generate speech from a script."""

import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dia.cli.run import run
from dia.config.checks import below, bullet_list
from dia.config.choices import LintLevel
from dia.config.hub import parse_hub_path
from dia.errors import UserError
from dia.home import existing
from dia.resources import SHIPPED_CHECKPOINTS

if TYPE_CHECKING:
    from dia.config.generate import GenerateConfig
    from dia.model import Dia
    from dia.types import Waveform


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; ``arguments`` None takes those of the process."""
    run("generate", {"": generate}, arguments)


def generate(config: "GenerateConfig") -> None:
    """Generate ``config.text`` into ``config.out``, one file per seed.

    Raises:
        UserError: With all problems of the configuration at once, before anything is loaded; and for a
            damaged checkpoint, voice or prompt.
    """
    if problems := configuration_problems(config):
        raise UserError(bullet_list("speech cannot be generated:", problems))
    from dia.audio.stretch import stretch
    from dia.model import Dia

    dia = Dia.from_pretrained(
        config.ckpt,
        codec=config.codec.name or None,
        quantization=config.quantization,
        adapter=config.adapter or None,
    )
    dia.sampling(**asdict(config.sampling))
    text = dia.check_text(config.text, lint=config.lint, one_pass=not config.voice)
    checked = replace(config, text=text, lint=LintLevel.off)  # its warnings are logged once for all seeds
    for seed, out in output_files(config).items():
        waveform = stretch(_waveform(dia, checked, seed), dia.codec.sample_rate, config.speed)
        dia.save_audio(str(out), waveform)
        print(f"wrote {out}: {len(waveform) / dia.codec.sample_rate:.1f} s at {dia.codec.sample_rate} Hz")


def output_files(config: "GenerateConfig") -> dict[int, Path]:
    """Return the file of each seed: ``config.out``, or NAME_seed0.wav and so on for several seeds."""
    out = Path(config.out)
    if not config.seeds:
        return {config.seed: out}
    return {seed: out.with_name(f"{out.stem}_seed{seed}{out.suffix}") for seed in config.seeds}


def configuration_problems(config: "GenerateConfig") -> list[str]:
    """Return what is wrong with a configuration as far as it shows without a model, one sentence each."""
    return [
        *_text_problems(config),
        *_out_problems(Path(config.out)),
        *_number_problems(config),
        *_file_problems(config),
    ]


def _text_problems(config: "GenerateConfig") -> list[str]:
    from dia.dialogue.check import refused
    from dia.dialogue.lint import NO_LIMITS, Limits, lint

    if not config.text:
        return ['text is empty; write a script: "[S1] Hello there. [S2] Hello!"']
    # the model limits the length when it is loaded, and a voice the speakers
    limits = NO_LIMITS if config.voice else Limits(0.0, float("inf"))
    return list(refused(lint(config.text, limits), config.lint))


def _out_problems(out: Path) -> list[str]:
    from dia.audio.files import ENDINGS

    problems = []
    if out.suffix.lower() not in ENDINGS:
        problems.append(f"out={out} must end in {', '.join(ENDINGS)}")
    if out.is_dir():
        problems.append(f"out={out} is a folder; name a file, such as out={out / 'speech.wav'}")
    elif not out.parent.is_dir():
        problems.append(f"the folder {out.parent} of out={out} does not exist; create it or choose another")
    elif not os.access(out if out.exists() else out.parent, os.W_OK):
        problems.append(f"out={out} cannot be written; choose another folder")
    return problems


def _number_problems(config: "GenerateConfig") -> list[str]:
    from dia.audio.stretch import require_speed
    from dia.config.sampling import Sampling

    problems = below(
        0, [("max_seconds", config.max_seconds), ("retries", config.retries), ("seed", config.seed)]
    )
    try:
        require_speed(config.speed)
    except UserError as error:
        problems.append(str(error))
    values = {key: value for key, value in asdict(config.sampling).items() if value is not None}
    problems += [f"sampling.{problem.removeprefix('sampling.')}" for problem in Sampling(**values).problems()]
    if config.voice and (config.audio_prompt or config.max_seconds):
        problems.append("voice=... excludes audio_prompt=... and max_seconds=...; leave them out")
    return problems


def _file_problems(config: "GenerateConfig") -> list[str]:
    problems = [
        f"{key}={value} does not exist; check the path"
        for key, value in (("audio_prompt", config.audio_prompt), ("voice", config.voice))
        if value and not Path(value).exists()
    ]
    if config.adapter and not existing(config.adapter).exists():
        problems.append(f"adapter={config.adapter} does not exist; name a run or the folder of an adapter")
    name = config.ckpt
    if not (name in SHIPPED_CHECKPOINTS or existing(name).exists() or parse_hub_path(name)):
        from dia.cli.arguments import checkpoints

        listed = ", ".join(checkpoints())
        problems.append(
            f"there is no checkpoint at ckpt={name}; give {listed}, a path or a Hub id (owner/name)"
        )
    return problems


def _waveform(dia: "Dia", config: "GenerateConfig", seed: int) -> "Waveform":
    """Return the speech: of a script of any length with a voice, else of one pass of the model."""
    import numpy as np

    from dia.codecs.protocol import frames_per_second
    from dia.inference import Voice

    if config.voice:
        voice = Voice.load(config.voice)
        pieces = dia.speak_long(config.text, voice, seed, retries=config.retries, lint=config.lint)
        return np.concatenate([np.zeros(0, dtype=np.float32), *pieces])
    steps = dia.network.config.decoder.max_positions
    if config.max_seconds:
        frames = round(config.max_seconds * frames_per_second(dia.codec))
        steps = min(steps, dia.network.config.steps_for(frames))
    prompt = config.audio_prompt or None
    speech: Any = dia.generate(
        config.text, steps, audio_prompt=prompt, seed=seed, retries=config.retries, lint=config.lint
    )
    waveform: Waveform = speech
    return waveform


if __name__ == "__main__":
    main()
