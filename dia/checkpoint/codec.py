"""The codec that a checkpoint names, or that follows from its shape."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dia.codecs.registry import codec_shape
from dia.errors import UserError
from dia.network import DiaConfig

NARI_CODEC = "dac_44khz"  # the codec of nari's checkpoints, which their configs do not name


@dataclass(frozen=True)
class CodecReference:
    """The codec of a model: the name or path that opens it, and its fingerprint (empty when unknown)."""

    name: str
    fingerprint: str


def codec_reference(config: DiaConfig, extra: Mapping[str, Any]) -> CodecReference | None:
    """Return the codec that the key ``dia`` of a config.json names.

    Without a name, a model of DAC's shape is one of nari's, and the codec of others is unknown. Raises
    :class:`UserError` for a reference without texts.
    """
    if reference := extra.get("codec"):
        return _stated_codec(reference)
    shape = codec_shape(NARI_CODEC)
    if shape is None or (shape.channels, shape.codebook_size) != (
        config.channels,
        config.decoder.codebook_size,
    ):
        return None
    return CodecReference(NARI_CODEC, "")


def _stated_codec(reference: Any) -> CodecReference:
    values = reference if isinstance(reference, Mapping) else {}
    name, fingerprint = values.get("name"), values.get("fingerprint")
    if not isinstance(name, str) or not name or not isinstance(fingerprint, str):
        raise UserError("config.json names no codec by name and fingerprint; copy the checkpoint again")
    return CodecReference(name, fingerprint)
