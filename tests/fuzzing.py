"""Readers of files from outside, each with valid inputs whose damaged copies a fuzzer feeds to them.

``scripts/fuzz_readers.py`` runs many inputs, guided by coverage; tests/test_fuzzing.py runs a few of each.
"""

import itertools
import json
import random
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from safetensors.torch import load_file, save_file

from dia.audio.files import read_audio_file, write_audio
from dia.checkpoint import CodecReference, load_checkpoint, save_checkpoint
from dia.checkpoint.adapter import Adapter, Base, load_adapter, save_adapter
from dia.checkpoint.source import read_source
from dia.codecs.registry import load_codec
from dia.codecs.spectral import save_spectral
from dia.codecs.spectral_network import SpectralNetwork
from dia.config.data import DataConfig
from dia.config.stored import read_run_config
from dia.config.systems import RecordConfig
from dia.data.length_limits import LengthLimits
from dia.data.source import Tally
from dia.data.sources.settings import open_source
from dia.dialogue import Script
from dia.dialogue.lint import lint
from dia.errors import UserError
from dia.evaluation.prompts import load_prompts
from dia.inference.voice import Voice
from dia.network import DiaNetwork
from dia.systems.read_recordings import read_recorded
from dia.systems.record import record
from tests.conftest import TINY, TINY_CODEC
from tests.systems.conftest import load_declared

SLOWEST = 2.0  # seconds of processor time that an input may take
RATE = 16_000
LARGEST = 1 << 16  # bytes of a mutated input
# Values that readers of JSON, YAML, tables, tensors and scripts may mistake for others.
TOKENS = (
    *b"NaN Infinity -1 0 1e999 99999999999999999999 null true [] {} , ; \" ' ( ) F64 RIFF ID3 ../".split(),
    *b"../../etc/passwd /etc/passwd ${oc.env:HOME} !!python/object:os.system [S1] [S9]".split(),
    *(b"\n", b"\r\n", b"\r", b"\t", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf"),
    *(b"\xff" * 8, b"\x7f\xff\xff\xff"),
    *(b"[" * 200, b"{" * 50, b"&a [*a, *a]", b"(laughs)", b"{happy}"),
)


@dataclass(frozen=True)
class Reader:
    """A reader of one kind of file: valid inputs, and a function that opens any input."""

    name: str
    seeds: tuple[bytes, ...]
    open: Callable[[bytes], object]


def check(reader: Reader, content: bytes) -> bool:
    """Return whether the input is accepted.

    Raises what the reader raises except :class:`UserError`, and :class:`AssertionError` when it takes longer
    than ``SLOWEST`` twice: the first time may include an import or a collection of garbage.
    """
    accepted, seconds = _open(reader, content)
    if seconds >= SLOWEST:
        accepted, seconds = _open(reader, content)
    assert seconds < SLOWEST, f"{reader.name} took {seconds:.1f} s"
    return accepted


def _open(reader: Reader, content: bytes) -> tuple[bool, float]:
    """Return whether the reader accepts the input, and the seconds of processor time that it took."""
    begin = time.process_time()
    try:
        reader.open(content)
        accepted = True
    except UserError:
        accepted = False
    return accepted, time.process_time() - begin


def mutations(seeds: tuple[bytes, ...], seed: int) -> Iterator[bytes]:
    """Yield damaged copies of the valid inputs without end."""
    rng = random.Random(seed)
    while True:
        content = bytearray(rng.choice(seeds))
        for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
            _mutate(content, rng)
        yield bytes(content[:LARGEST])


def _mutate(content: bytearray, rng: random.Random) -> None:
    """Change one place: a bit, a byte, a number, a token, a part that is cut, repeated or moved."""
    place = rng.randrange(len(content) + 1)
    end = min(len(content), place + rng.choice((1, 1, 2, 4, 8, 32, 256)))
    match rng.randrange(7):
        case 0 if place < len(content):
            content[place] ^= 1 << rng.randrange(8)
        case 1 if place < len(content):
            content[place] = rng.randrange(256)
        case 2:
            content[place:place] = rng.choice(TOKENS)
        case 3:
            content[place:end] = rng.choice(TOKENS)
        case 4:
            del content[place:end]
        case 5:
            content[place:place] = content[place:end] * rng.choice((1, 2, 8))
        case _:
            del content[place:]


def build_readers(folder: Path) -> dict[str, Reader]:
    """Return all readers by name; their valid inputs are written below ``folder``."""
    torch.manual_seed(0)
    network = DiaNetwork(TINY).eval()
    readers = [
        *_checkpoint_readers(network, folder),
        _voice_reader(folder),
        *_adapter_readers(network, folder),
        _codec_reader(folder),
        *_audio_readers(folder),
        *_table_readers(folder),
        *_recording_readers(folder),
        _run_reader(folder),
        _prompt_reader(folder),
        _script_reader(),
    ]
    return {reader.name: reader for reader in readers}


def _file_reader(name: str, path: Path, read: Callable[[], object], *more: bytes) -> Reader:
    """A reader of one file of a folder that is complete otherwise; its content now is a valid input."""

    def open_input(content: bytes) -> object:
        path.write_bytes(content)
        return read()

    return Reader(name, (path.read_bytes(), *more), open_input)


def _checkpoint_readers(network: DiaNetwork, folder: Path) -> list[Reader]:
    model, sharded, pickled = (folder / name for name in ("model", "sharded", "pickled"))
    save_checkpoint(network, model, CodecReference("codec_nano", "0" * 64))
    for target in (sharded, pickled, folder / "headers"):
        shutil.copytree(model, target)
    tensors = load_file(sharded / "model.safetensors")
    (sharded / "model.safetensors").unlink()
    shards = {
        "model-00001-of-00002.safetensors": sorted(tensors)[::2],
        "model-00002-of-00002.safetensors": sorted(tensors)[1::2],
    }
    for file, names in shards.items():
        save_file({name: tensors[name] for name in names}, sharded / file)
    index = sharded / "model.safetensors.index.json"
    weight_map = {name: file for file, names in shards.items() for name in names}
    index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    (pickled / "model.safetensors").unlink()
    torch.save({"few": torch.ones(3), "more": {"deep": [1, "two"]}}, pickled / "model.pth")
    return [
        _file_reader("config.json", model / "config.json", lambda: load_checkpoint(model)),
        _header_reader(
            "safetensors header",
            folder / "headers/model.safetensors",
            lambda: load_checkpoint(folder / "headers"),
        ),
        _file_reader("shard index", index, lambda: load_checkpoint(sharded)),
        _file_reader(".pth", pickled / "model.pth", lambda: read_source(pickled)),
    ]


def _header_reader(name: str, path: Path, read: Callable[[], object]) -> Reader:
    """A reader of a safetensors file of which only the header is mutated, so that inputs stay small."""
    content = path.read_bytes()
    size = 8 + int.from_bytes(content[:8], "little")

    def open_input(header: bytes) -> object:
        path.write_bytes(header + content[size:])
        return read()

    return Reader(name, (content[:size],), open_input)


def _voice_reader(folder: Path) -> Reader:
    path = folder / "anna.voice"
    codes = torch.randint(0, 512, (50, 8))
    Voice("[S1] Hello there. (laughs) I am Anna.", codes, "codec_nano", "0" * 64, 25.0, 512).save(path)
    return _file_reader("voice", path, lambda: Voice.load(path))


def _adapter_readers(network: DiaNetwork, folder: Path) -> list[Reader]:
    name = "decoder.layers.0.self_attention.q_proj"
    weight = network.state_dict()[f"{name}.weight"]
    tensors = {
        f"{name}.lora_A": torch.ones(2, weight.shape[1]),
        f"{name}.lora_B": torch.ones(weight.shape[0], 2),
    }
    adapter = Adapter(2, 4.0, ["q_proj"], Base("dia_nano", "0" * 64), TINY, tensors)
    for place in ("adapter", "adapter_weights"):
        save_adapter(adapter, folder / place)
    return [
        _file_reader(
            "adapter config", folder / "adapter/adapter_config.json", lambda: load_adapter(folder / "adapter")
        ),
        _header_reader(
            "adapter header",
            folder / "adapter_weights/adapter_model.safetensors",
            lambda: load_adapter(folder / "adapter_weights"),
        ),
    ]


def _codec_reader(folder: Path) -> Reader:
    save_spectral(SpectralNetwork(TINY_CODEC), folder / "codec")
    return _file_reader(
        "codec config", folder / "codec/config.json", lambda: load_codec(str(folder / "codec"))
    )


def _audio_readers(folder: Path) -> list[Reader]:
    waveform = (0.1 * np.sin(np.arange(3200) / 20)).astype(np.float32)
    readers = []
    for ending in ("wav", "flac", "mp3", "ogg"):
        path = folder / f"sound.{ending}"
        soundfile.write(path, waveform, RATE)
        readers.append(_file_reader(ending.upper(), path, lambda path=path: read_audio_file(path)))
    return readers


def _table_readers(folder: Path) -> list[Reader]:
    return [
        _table_reader(
            folder / "csv",
            "rows.csv",
            b"audio,text,split,speaker,emotion,intensity,events\n"
            b"in.wav,[S1] Hello. (laughs),train,anna,happy,0.5,laughs 0.01 0.05\n",
        ),
        _table_reader(
            folder / "jsonl",
            "rows.jsonl",
            b'{"audio": "in.wav", "text": "Hello.", "split": "test", "speaker": "ben", "valence": 0.1}\n',
        ),
    ]


def _table_reader(folder: Path, name: str, content: bytes) -> Reader:
    """A reader of tables. Each input has a folder of its own, as a process reads a table once."""
    numbers = itertools.count()

    def open_input(content: bytes) -> None:
        place = folder / str(next(numbers))
        place.mkdir(parents=True)
        write_audio(place / "in.wav", np.zeros(1600, dtype=np.float32), RATE)
        (place / name).write_bytes(content)
        try:
            source, tally = open_source(DataConfig(corpus="local", path=str(place))), Tally()
            source.check(LengthLimits())
            for unit in source.units():
                source.read(unit, tally)
        finally:
            shutil.rmtree(place)

    return Reader(name.rpartition(".")[2].upper(), (content,), open_input)


def _recording_readers(folder: Path) -> list[Reader]:
    mine = folder / "mine"
    mine.mkdir()
    write_audio(mine / "one.wav", np.full(8000, 0.1, dtype=np.float32), RATE)
    (mine / "recordings.jsonl").write_text(
        json.dumps({"id": "p0", "file": "one.wav", "script": "[S1] Hello."}) + "\n"
    )
    content = load_declared("folder", name="mine", path=str(mine))
    recorded = record(
        RecordConfig(system=content, out=str(folder / "out"), takes=1), lambda line: None
    ).folder
    other = shutil.copytree(recorded, folder / "other")
    return [
        _file_reader("recording manifest", recorded / "manifest.json", lambda: read_recorded(recorded)),
        _file_reader("recording rows", other / "outputs.jsonl", lambda: read_recorded(other)),
    ]


def _run_reader(folder: Path) -> Reader:
    path = folder / "config.yaml"
    path.write_text(
        "run_name: mine\nmodel: {encoder: {layers: 2}}\ndata: {corpus: local, path: sounds}\n"
        "optim: {learning_rate: 1e-3}\n"
    )
    return _file_reader("run config", path, lambda: read_run_config(path))


def _prompt_reader(folder: Path) -> Reader:
    path = folder / "prompts.jsonl"
    path.write_text(
        '{"id": "a", "script": "[S1] Hello. (laughs)"}\n{"id": "b", "script": "[S1] Hi. [S2] No."}\n'
    )
    return _file_reader("prompts", path, lambda: load_prompts(path))


def _script_reader() -> Reader:
    def read(content: bytes) -> None:
        text = content.decode("utf-8", "surrogateescape")
        if not lint(text).problems:
            assert Script.parse(Script.parse(text).render()) == Script.parse(text)

    seeds = (
        "[S1] Hello there. (laughs) [S2] {happy} No!",
        "[S1] (coughs) Well, it is 25 dollars.",
        "[S2] Äh... (sighs)",
    )
    return Reader("script", tuple(seed.encode() for seed in seeds), read)
