"""Look into checkpoints and convert them.

python -m dia.weights doctor PATH                                  layout, generation, types, sha256, shapes
that do not fit python -m dia.weights doctor PATH audio=clip.wav text="[S1] ..."   and which cross_rope fits a
recording and its transcript python -m dia.weights convert PATH to=nari out=FOLDER              or
to=transformers python -m dia.weights consolidate RUN out=FOLDER                   the newest checkpoint of a
run, also one in shards, as a model
"""

import sys
from dataclasses import replace
from pathlib import Path

import torch

from dia.audio.files import read_audio
from dia.checkpoint import Source, convert, read_source
from dia.checkpoint.doctor import describe
from dia.checkpoint.folder import codec_of, network_of
from dia.checkpoint.locate import resolve_checkpoint
from dia.codecs.protocol import pad_to_frames
from dia.codecs.registry import load_codec
from dia.data.batching import Example, collate
from dia.dialogue.text import encode_text
from dia.errors import UserError
from dia.pipelines.consolidate import consolidate
from dia.training.loss import channel_sums, channel_weights, weighted_loss

USAGE = (__doc__ or "").partition("\n\n")[2]
KEYS = {"doctor": {"audio", "text", "codec"}, "convert": {"to", "out"}, "consolidate": {"out"}}


def main(arguments: list[str]) -> None:
    """Run a command line. Raises :class:`UserError` for a wrong one, and as its parts do."""
    command, path, values = parse(arguments)
    if command == "consolidate":
        print(f"wrote {values['out']}: step {consolidate(Path(path), Path(values['out']))} of {path}")
        return
    source = read_source(str(resolve_checkpoint(path)))
    if command == "convert":
        if Path(values["out"]).exists():
            raise UserError(f"out={values['out']} exists; name a folder that does not")
        convert(source, values["to"], Path(values["out"]))
        print(f"wrote {values['out']} in the layout of {values['to']}")
        return
    print("\n".join(describe(source)))
    if "audio" in values:
        print("\n".join(probe(source, values["audio"], values["text"], values.get("codec"))))


def parse(arguments: list[str]) -> tuple[str, str, dict[str, str]]:
    """Return command, path and values. Raises :class:`UserError` with the usage and all that is wrong."""
    if len(arguments) < 2 or arguments[0] not in KEYS:
        raise UserError(f"name a command and a checkpoint:\n\n{USAGE}")
    command, path, *rest = arguments
    values = {key: value for key, equals, value in (argument.partition("=") for argument in rest) if equals}
    problems = [f"{argument!r} is no key=value" for argument in rest if "=" not in argument]
    problems += [f"{key} is unknown to {command}" for key in sorted(values.keys() - KEYS[command])]
    if command != "doctor":
        problems += [f"{key}=... is missing" for key in sorted(KEYS[command] - values.keys())]
    elif ("audio" in values) != ("text" in values):
        problems.append("audio= and text= (its transcript) go together")
    if problems:
        raise UserError(f"{'; '.join(problems)}:\n\n{USAGE}")
    return command, path, values


def probe(source: Source, audio: str, text: str, codec_name: str | None) -> list[str]:
    """Return lines that say with which ``cross_rope`` the checkpoint expects a recording, by teacher-forced
    loss in nats.
    """
    reference = codec_of(source)
    if codec_name is None and reference is None:
        raise UserError(f"{source.located.path} does not name its codec; give one with codec=...")
    codec = load_codec(codec_name or (reference.name if reference else ""))
    waveform_BL = torch.from_numpy(read_audio(audio, codec.sample_rate))[None]
    codes_TC = codec.encode(pad_to_frames(waveform_BL, codec.hop))[0]
    losses = {flag: teacher_forced_loss(source, flag, codes_TC, text) for flag in (False, True)}
    best = min(losses, key=lambda flag: losses[flag])
    margin = abs(losses[True] - losses[False])
    told = "agrees with" if best == source.config.cross_rope else "CONTRADICTS"
    return [
        *(f"probe       cross_rope={flag}: {loss:.4f} nats" for flag, loss in losses.items()),
        f"            cross_rope={best} fits better by {margin:.4f} nats, which {told} the config",
    ]


@torch.inference_mode()
def teacher_forced_loss(source: Source, cross_rope: bool, codes_TC: torch.Tensor, text: str) -> float:
    """Return the loss, in nats, of codes (T, C) under their text. Raises :class:`UserError` for a clip that
    is too long.
    """
    config = replace(source.config, cross_rope=cross_rope)
    if not 1 <= len(codes_TC) <= config.max_frames:
        raise UserError(
            f"the recording has {len(codes_TC)} frames, the model takes 1 to {config.max_frames}; give a shorter one"
        )
    network = network_of(replace(source, config=config)).float().eval()
    batch = collate([Example("probe", torch.tensor(encode_text(text)), codes_TC.cpu())], [False], config)
    logits = network(batch.text_BS, batch.text_mask_BS, batch.inputs_BTC)
    sums = channel_sums(logits, batch.targets_BTC, config.decoder.eos)
    return float(weighted_loss(sums, channel_weights(config.channels, 1.0)))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UserError as problem:
        print(problem, file=sys.stderr)
        sys.exit(2)
