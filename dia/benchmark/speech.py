"""From text to sound: end to end, the first sound of a stream, the codec, and a batch against its items
alone.
"""

from itertools import chain
from typing import Any

import torch

from dia.benchmark.decoding import TEXT, generate_theirs
from dia.benchmark.timing import now, seconds_of
from dia.codecs.dac import DacCodec
from dia.codecs.dac_package import build_dac
from dia.codecs.delay import undelay
from dia.codecs.protocol import Codec
from dia.codecs.registry import load_codec
from dia.inference import Request, Sampling, Synthesizer
from dia.network import DiaConfig, DiaNetwork

TURNS = (
    "Did you see the river?",
    "I did, and it was high.",
    "Then we had better stay.",
    "And tell the others.",
)


def open_codec(name: str, config: DiaConfig, device: torch.device) -> Codec:
    """Return the codec named; `random` is descript's 44.1 kHz model with random weights (its published ones
    need a download).
    """
    if name != "random":
        return load_codec(name, str(device))
    torch.manual_seed(0)
    model = build_dac(
        sample_rate=44_100, n_codebooks=config.channels, codebook_size=config.decoder.codebook_size
    )
    return DacCodec(model.to(device), "random")


def their_dac(config: DiaConfig, device: torch.device) -> Any:
    """Return transformers' own DAC of the same shape, with random weights."""
    from transformers import DacConfig, DacModel

    size = config.decoder.codebook_size
    model: Any = DacModel(DacConfig(n_codebooks=config.channels, codebook_size=size, sampling_rate=44_100))
    return model.to(device).eval()


def random_codes(config: DiaConfig, frames: int, device: torch.device) -> torch.Tensor:
    """Return codes (1, T, C)."""
    return torch.randint(0, config.decoder.codebook_size, (1, frames, config.channels), device=device)


@torch.inference_mode()
def time_codec(codec: Codec, codes_BTC: torch.Tensor) -> float:
    """Return the seconds it takes to decode."""
    return seconds_of(lambda: codec.decode(codes_BTC), codes_BTC.device)


@torch.inference_mode()
def time_their_dac(model: Any, codes_BTC: torch.Tensor) -> float:
    """The same for transformers' DAC."""
    return seconds_of(lambda: model.decode(audio_codes=codes_BTC.transpose(1, 2)), codes_BTC.device)


def time_speech(network: DiaNetwork, codec: Codec, steps: int, compiled: bool) -> float:
    """Return seconds of work for a second of sound: a text of ``steps`` decoder steps, to a waveform."""
    device = next(network.parameters()).device
    begun = now(device)
    speech = Synthesizer(network, codec).synthesize([TEXT], [0], Sampling(), steps, compiled=compiled)[0]
    return (now(device) - begun) / (len(speech.waveform) / speech.sample_rate)


@torch.inference_mode()
def time_their_speech(model: Any, codec: Codec, config: DiaConfig, steps: int, compiled: bool) -> float:
    """The same by transformers' generation; its codes are decoded by our codec, so that only the network
    differs.
    """
    begun = now(model.device)
    codes_BTC = undelay(generate_theirs(model, config, steps, compiled), config.delays)[:, 1:]
    waveform = codec.decode(codes_BTC.clamp(0, config.decoder.codebook_size - 1))
    return (now(model.device) - begun) / (waveform.shape[1] / codec.sample_rate)


def time_first_sound(network: DiaNetwork, codec: Codec, compiled: bool) -> float:
    """Return the seconds until a stream gives its first sound."""
    device = next(network.parameters()).device
    begun = now(device)
    next(Synthesizer(network, codec).stream(Request(TEXT), Sampling(), compiled=compiled))
    return now(device) - begun


def batch_texts(count: int) -> list[str]:
    """Return scripts of about one length."""
    return [f"[S1] {TURNS[place % 4]} [S2] {TURNS[(place + 1) % 4]}" for place in range(count)]


def time_batch(network: DiaNetwork, codec: Codec, count: int, steps: int) -> dict[str, float]:
    """Return seconds of sound a second for ``count`` texts as a batch and one after another, whole and
    without the codec.
    """
    device, synthesizer, sampling = next(network.parameters()).device, Synthesizer(network, codec), Sampling()
    texts, seeds = batch_texts(count), list(range(count))
    begun = now(device)
    together = synthesizer.synthesize(texts, seeds, sampling, steps)
    batch = now(device) - begun
    begun = now(device)
    alone = [
        synthesizer.synthesize([text], [seed], sampling, steps)
        for text, seed in zip(texts, seeds, strict=True)
    ]
    single = now(device) - begun
    seconds = sum(len(speech.waveform) for speech in together) / codec.sample_rate
    decoding = sum(time_codec(codec, item.codes_TC[None]) for item in chain(*alone))
    return {
        "batch": seconds / batch,
        "single": seconds / single,
        "batch without codec": seconds / (batch - decoding),
        "single without codec": seconds / (single - decoding),
    }
