"""The model shape of a run that starts from a checkpoint (`init_from`): fill open values, find conflicts.

`model=checkpoint` leaves the shape open (zero, empty); values that a config sets nevertheless must agree with
the checkpoint.
"""

from dataclasses import asdict

from dia.checkpoint import read_config
from dia.checkpoint.locate import resolve_checkpoint
from dia.codecs.registry import codec_path
from dia.codecs.spectral import read_config as read_codec_config
from dia.config.codec import DECODING_KEYS, SpectralCodecConfig
from dia.errors import UserError
from dia.network import DecoderConfig, DiaConfig, EncoderConfig
from dia.types import flatten

SHOWN = 5  # number of conflicts that a message lists


def filled_shape(model: DiaConfig, init: str) -> DiaConfig:
    """Return the shape ``model`` with its open values taken from the checkpoint ``init``.

    When the checkpoint cannot be read, open values are those of Dia-1.6B, and :func:`initial_problems`
    reports the error.

    Raises:
        UserError: When values are open and ``init`` is empty.
    """
    values = asdict(model)
    is_open = [key for key, value in flatten(values).items() if not value and key != "cross_rope"]
    if not is_open:
        return model
    if not init:
        raise UserError(
            "model=checkpoint takes its shape from a checkpoint, and init_from is empty; give "
            "init_from=PATH or a "
            "Hub id"
        )
    try:
        shape = asdict(read_config(resolve_checkpoint(init)))
    except UserError:
        shape = asdict(DiaConfig())
    # cross_rope has no open value: when the shape is open, false does not mean that it was chosen
    for key in (*is_open, *(["cross_rope"] if not values["cross_rope"] else [])):
        before, _, last = key.rpartition(".")
        (values[before] if before else values)[last] = flatten(shape)[key]
    return DiaConfig(
        **{
            **values,
            "encoder": EncoderConfig(**values["encoder"]),
            "decoder": DecoderConfig(**values["decoder"]),
        }
    )


def initial_problems(init: str, model: DiaConfig) -> list[str]:
    """Return why training cannot start from a checkpoint: read errors, and values that contradict it."""
    try:
        shape = flatten(asdict(read_config(resolve_checkpoint(init))))
    except UserError as error:
        return [f"init_from={init}: {error}"]
    wrong = [(key, value) for key, value in flatten(asdict(model)).items() if shape[key] != value]
    if not wrong:
        return []
    listed = ", ".join(f"model.{key}={value} (it has {shape[key]})" for key, value in wrong[:SHOWN])
    more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
    return [f"init_from={init} contradicts {listed}{more}; leave them out, and take model=checkpoint"]


def initial_codec_problems(key: str, codec: str, shape: SpectralCodecConfig) -> list[str]:
    """Return why the codec that ``key`` names cannot be trained further, one sentence per problem.

    Its settings of decoding may differ: they change no weight.
    """
    try:
        own = asdict(read_codec_config(codec_path(codec)))
    except UserError as error:
        return [f"codec_training.{key}={codec}: {error}"]
    return [
        f"codec_training.{key}={codec} has {name}={own[name]}, spectral.{name} is {value}; leave it out"
        for name, value in asdict(shape).items()
        if own[name] != value and name not in DECODING_KEYS
    ]
