"""The inference core: sampling, the batched engine, and speech from text on any codec."""

from dia.inference.engine import Generated, Request, generate_codes
from dia.inference.sampling import Sampling
from dia.inference.synthesizer import Speech, Synthesizer

__all__ = ["Generated", "Request", "Sampling", "Speech", "Synthesizer", "generate_codes"]
