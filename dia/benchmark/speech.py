"""Time text to audio: end to end, the first audio of a stream, the codec, and batches."""

from typing import Any

import torch

from dia.benchmark.decoding import TEXT, generate_with_transformers
from dia.benchmark.timing import now, seconds_of
from dia.codecs.dac import DacCodec
from dia.codecs.dac_package import build_dac
from dia.codecs.delay import undelay
from dia.codecs.protocol import Codec
from dia.codecs.registry import load_codec
from dia.inference import Request, Sampling, Synthesizer
from dia.inference.synthesizer import Speech
from dia.network import DiaConfig, DiaNetwork

SEPARATE = 8  # texts of a batch that are generated in sequence as well
TURNS = (
    "Did you see the river?",
    "I did, and it was high.",
    "Then we had better stay.",
    "And tell the others.",
)


def open_codec(name: str, config: DiaConfig, device: torch.device) -> Codec:
    """Return the codec; `random` is descript's 44.1 kHz model with random weights (no download)."""
    if name != "random":
        return load_codec(name, str(device))
    torch.manual_seed(0)
    model = build_dac(
        sample_rate=44_100, n_codebooks=config.channels, codebook_size=config.decoder.codebook_size
    )
    return DacCodec(model.to(device), "random")


def transformers_dac(config: DiaConfig, device: torch.device) -> Any:
    """Return transformers' DAC of the same shape, with random weights."""
    from transformers import DacConfig, DacModel

    size = config.decoder.codebook_size
    model: Any = DacModel(DacConfig(n_codebooks=config.channels, codebook_size=size, sampling_rate=44_100))
    return model.to(device).eval()


def random_codes(config: DiaConfig, frames: int, device: torch.device) -> torch.Tensor:
    """Return codes (1, T, C)."""
    return torch.randint(0, config.decoder.codebook_size, (1, frames, config.channels), device=device)


@torch.inference_mode()
def time_codec(codec: Codec, codes_BTC: torch.Tensor) -> float:
    """Return the seconds of decoding."""
    return seconds_of(lambda: codec.decode(codes_BTC), codes_BTC.device)


@torch.inference_mode()
def time_encoding(codec: Codec, frames: int) -> float:
    """Return the seconds of encoding noise of this many frames; the codec moves it to its device."""
    generator = torch.Generator().manual_seed(0)
    waveform_BL = 0.1 * torch.randn(1, frames * codec.hop, generator=generator)
    return seconds_of(lambda: codec.encode(waveform_BL).cpu(), torch.device("cpu"))


@torch.inference_mode()
def time_transformers_dac(model: Any, codes_BTC: torch.Tensor) -> float:
    """Return the seconds of decoding with transformers' DAC."""
    return seconds_of(lambda: model.decode(audio_codes=codes_BTC.transpose(1, 2)), codes_BTC.device)


def time_speech(network: DiaNetwork, codec: Codec, steps: int, compiled: bool) -> float:
    """Return the seconds for each second of audio, for a text of ``steps`` decoder steps."""
    device = next(network.parameters()).device
    start = now(device)
    speech = Synthesizer(network, codec).synthesize([TEXT], [0], Sampling(), steps, compiled=compiled)[0]
    return (now(device) - start) / (len(speech.waveform) / speech.sample_rate)


@torch.inference_mode()
def time_transformers_speech(
    model: Any, codec: Codec, config: DiaConfig, steps: int, compiled: bool
) -> float:
    """Return the seconds for each second of audio with transformers; the codec is Dia's in both cases."""
    start = now(model.device)
    codes_BTC = undelay(generate_with_transformers(model, config, steps, compiled), config.delays)[:, 1:]
    waveform = codec.decode(codes_BTC.clamp(0, config.decoder.codebook_size - 1))
    return (now(model.device) - start) / (waveform.shape[1] / codec.sample_rate)


def time_first_audio(network: DiaNetwork, codec: Codec, compiled: bool) -> float:
    """Return the seconds until a stream yields its first audio."""
    device = next(network.parameters()).device
    start = now(device)
    next(Synthesizer(network, codec).stream(Request(TEXT), Sampling(), compiled=compiled))
    return now(device) - start


def batch_texts(count: int) -> list[str]:
    """Return scripts of similar length."""
    return [f"[S1] {TURNS[index % 4]} [S2] {TURNS[(index + 1) % 4]}" for index in range(count)]


def time_batch(network: DiaNetwork, codec: Codec, count: int, steps: int, compiled: bool) -> dict[str, float]:
    """Return seconds of audio a second for ``count`` texts: batched, in sequence, and both without codec.

    At most eight of them are generated in sequence.
    """
    device, synthesizer, sampling = next(network.parameters()).device, Synthesizer(network, codec), Sampling()
    texts, seeds = batch_texts(count), list(range(count))
    start = now(device)
    batched = synthesizer.synthesize(texts, seeds, sampling, steps, compiled=compiled)
    batch = now(device) - start
    start = now(device)
    separate = [
        synthesizer.synthesize([text], [seed], sampling, steps, compiled=compiled)[0]
        for text, seed in list(zip(texts, seeds, strict=True))[:SEPARATE]
    ]
    single = now(device) - start
    return {
        "batch": _seconds(batched) / batch,
        "single": _seconds(separate) / single,
        "batch without codec": _seconds(batched) / (batch - _decoding_seconds(codec, batched)),
        "single without codec": _seconds(separate) / (single - _decoding_seconds(codec, separate)),
    }


def _seconds(takes: list[Speech]) -> float:
    return sum(len(take.waveform) / take.sample_rate for take in takes)


def _decoding_seconds(codec: Codec, takes: list[Speech]) -> float:
    return sum(time_codec(codec, take.codes_TC[None]) for take in takes)
