"""The registry of codec types, and how a name or a path is opened as a codec.

To add a codec, write one module with a class that implements :class:`dia.codecs.protocol.Codec` and a
:class:`dia.codecs.protocol.CodecType` that opens it, and add one line to ``CODEC_TYPES``. Code outside of
this package calls :func:`register_codec` instead.

A codec folder holds ``config.json`` with the key ``type`` and whatever files the type reads. A single weights
file is a DAC model as the package descript-audio-codec saves it.
"""

from pathlib import Path

from dia.codecs.dac import DAC
from dia.codecs.protocol import Codec, CodecShape, CodecType, read_codec_config, require_codec
from dia.codecs.spectral import SPECTRAL
from dia.errors import UserError
from dia.home import existing
from dia.resources import SHIPPED_CODECS, shipped_model

CODEC_TYPES: dict[str, CodecType] = {
    "dac": DAC,
    "spectral": SPECTRAL,
}
WEIGHTS_FILE_TYPE = "dac"


def register_codec(type_name: str, codec_type: CodecType) -> None:
    """Add a codec type under the name that the config.json of its folders has as ``type``.

    Worker processes that prepare data import the package anew, so a type that is registered at run time is
    known to them only when their main module registers it too.

    Raises:
        ValueError: When the name is taken.
    """
    if type_name in CODEC_TYPES:
        raise ValueError(f"the codec type {type_name!r} is registered already")
    CODEC_TYPES[type_name] = codec_type


def load_codec(name: str, device: str = "cpu") -> Codec:
    """Open a codec by the name of a shipped or published model, or by the path of a folder or DAC file.

    Raises:
        UserError: For an unknown name (the message lists the known ones) and for missing or damaged files.
    """
    if (codec_type := _published_type(name)) is not None:
        return codec_type.load(codec_type.download(name), name, device)
    path = codec_path(name)
    return _type_of(path).load(path, name, device)


def load_stated_codec(name: str, fingerprint: str, owner: str, device: str = "cpu") -> Codec:
    """Open the codec that a checkpoint names.

    A path leads wherever the author of the checkpoint wants. It is followed only together with the
    fingerprint of the codec there, which training writes beside it.

    Args:
        name: Name or path of the codec.
        fingerprint: Its fingerprint; empty when the checkpoint has none.
        owner: The checkpoint, for messages.
        device: Device of the codec.

    Raises:
        UserError: For a path without a fingerprint, for another codec than the stated one, and as
            :func:`load_codec` does.
    """
    if not fingerprint and not is_known_codec(name):
        raise UserError(
            f"{owner} names the codec {name!r} without its fingerprint; give codec.name={name}, "
            "if you trust it"
        )
    codec = load_codec(name, device)
    if fingerprint:
        require_codec(codec, fingerprint, owner)
    return codec


def codec_shape(name: str) -> CodecShape | None:
    """Return a codec's shape without reading its weights, or None when only the weights hold it.

    Raises:
        UserError: For an unknown name and for a folder whose config.json cannot be read.
    """
    if (codec_type := _published_type(name)) is not None:
        return codec_type.pretrained[name]
    path = codec_path(name)
    return _type_of(path).read_shape(path)


def codec_path(name: str) -> Path:
    """Return the folder of a shipped codec, or the path that ``name`` is.

    Raises:
        UserError: When there is no such folder or file.
    """
    path = shipped_model(name) if name in SHIPPED_CODECS else existing(name)
    if not name or not path.exists():
        published = [known for codec_type in CODEC_TYPES.values() for known in codec_type.pretrained]
        raise UserError(
            f"there is no codec {name!r}; give one of {', '.join((*SHIPPED_CODECS, *published))}, the "
            "folder of "
            "a codec, or a DAC .pth file"
        )
    return path


def is_known_codec(name: str) -> bool:
    """Return whether a name is that of a shipped or published codec, not a path."""
    return name in SHIPPED_CODECS or _published_type(name) is not None


def portable_name(name: str) -> str:
    """Return a name that opens the same codec from any working directory: paths become absolute."""
    if is_known_codec(name):
        return name
    return str(existing(name).resolve())


def _published_type(name: str) -> CodecType | None:
    matches = (codec_type for codec_type in CODEC_TYPES.values() if name in codec_type.pretrained)
    return next(matches, None)


def _type_of(path: Path) -> CodecType:
    """Return the type of the codec at a path. Raises :class:`UserError` for an unknown one."""
    type_name = read_codec_config(path)["type"] if path.is_dir() else WEIGHTS_FILE_TYPE
    if type_name not in CODEC_TYPES:
        raise UserError(
            f"{path} is a codec of the unknown type {type_name!r}; known types are {', '.join(CODEC_TYPES)}"
        )
    return CODEC_TYPES[type_name]
