"""The inference core: sampling, the batched engine, speech and streams from text on any codec, voices, long
scripts, a guard.
"""

from dia.config.sampling import Sampling
from dia.inference.engine import Generated, Request, generate_codes, stream_codes
from dia.inference.guard import Finding, Guarded, GuardLimits
from dia.inference.quantization import quantize
from dia.inference.synthesizer import Speech, Synthesizer
from dia.inference.voice import Voice

__all__ = [
    "Finding", "Generated", "GuardLimits", "Guarded", "Request", "Sampling", "Speech", "Synthesizer", "Voice",
    "generate_codes", "quantize", "stream_codes",
]  # fmt: skip
