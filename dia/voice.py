"""The command ``python -m dia.voice`` (``dia-voice``): make a voice file of a recording, and describe one."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dia.cli.plain import parse_plain
from dia.cli.run import run_arguments
from dia.config.voice import MakeVoiceConfig, ShowVoiceConfig
from dia.errors import UserError


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; ``arguments`` None takes those of the process."""
    run_arguments("voice", run_command, arguments)


def run_command(arguments: Sequence[str]) -> None:
    """Run a command. Raises :class:`UserError` for wrong arguments, and as its parts do."""
    command, config = parse_plain("voice", arguments)
    tasks: dict[str, Callable[[Any], None]] = {"make": make, "show": show}
    tasks[command.word](config)


def make(config: MakeVoiceConfig) -> None:
    """Write the voice file of a recording and its transcript.

    Raises:
        UserError: When the recording, its transcript, the codec or the output are unusable.
    """
    out = Path(config.out) if config.out else Path(config.audio).with_suffix(".voice")
    if out.is_dir() or not out.parent.is_dir():
        raise UserError(f"out={out} must name a file in a folder that exists")
    from dia.checkpoint.codec import codec_reference
    from dia.checkpoint.locate import resolve_checkpoint
    from dia.checkpoint.source import read_description
    from dia.inference.loading import default_device, open_codec
    from dia.inference.prompt import encode_prompt
    from dia.inference.voice import make_voice

    shape, extra = read_description(resolve_checkpoint(config.ckpt))
    codec = open_codec(codec_reference(shape, extra), config.codec or None, config.ckpt, default_device())
    codes_TC = encode_prompt(config.audio, codec, shape.max_frames)
    voice = make_voice(codec, codes_TC, config.text, config.shortest, config.longest, config.lint)
    voice.save(out)
    print(f"wrote {out}: {voice.seconds:.1f} s for models with the codec {codec.name}")


def show(config: ShowVoiceConfig) -> None:
    """Print what a voice file holds. Raises :class:`UserError` when it is missing or damaged."""
    from dia.inference.voice import Voice, describe_voice

    print("\n".join(describe_voice(Voice.load(config.voice))))


if __name__ == "__main__":
    main()
