"""Inference: sampling, batched decoding, synthesis, streaming, voices, long scripts, quantization."""

from dia.config.sampling import Sampling
from dia.inference.engine import generate_codes, stream_codes
from dia.inference.guard import Finding, GuardedSpeech, GuardLimits
from dia.inference.quantization import quantize
from dia.inference.request import Generated, Request
from dia.inference.synthesizer import Speech, Synthesizer
from dia.inference.voice import Voice

__all__ = [
    "Finding",
    "Generated",
    "GuardLimits",
    "GuardedSpeech",
    "Request",
    "Sampling",
    "Speech",
    "Synthesizer",
    "Voice",
    "generate_codes",
    "quantize",
    "stream_codes",
]
