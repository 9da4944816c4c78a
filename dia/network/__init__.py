"""The Dia network: a byte encoder and a decoder of delayed codec channels, without any training code."""

from dia.config.model import DecoderConfig, DiaConfig, EncoderConfig
from dia.network.dia import DiaNetwork

__all__ = ["DecoderConfig", "DiaConfig", "DiaNetwork", "EncoderConfig"]
