"""Measure the server: first audio, sound a second alone and together, fairness, and a long mixed load."""

import asyncio
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import psutil

from dia.config.bench import BenchServeConfig
from dia.errors import UserError

TEXTS = (
    "[S1] Well, that is good news. [S2] Yes, it is.",
    "[S1] We meet at noon.",
    "[S1] I can see the river from here. (laughs) [S2] It is beautiful. [S1] Let us go home.",
)
BAD = ({"input": ""}, {"input": "[S1] Hi.", "voice": "nobody"}, {"input": "[S1] Hi.", "speed": 99})
PCM_BYTES_A_SECOND = 48_000
ADDRESS = re.compile(r"at (http://\S+)")
CUT_OFF, BAD_INPUT = 0.1, 0.1  # shares of the mixed load
EARLY = 100  # requests after which memory is measured first
CLIENTS = 16  # of the mixed load, at a time


@dataclass
class Answer:
    """One request: status, seconds to the first byte and to the end, and the audio."""

    status: int
    first: float
    seconds: float
    content: bytes

    @property
    def audio_seconds(self) -> float:
        """Seconds of audio."""
        return len(self.content) / PCM_BYTES_A_SECOND


@dataclass
class ServerFigures:
    """The result; times in seconds, rates in seconds of audio a second, memory in MiB."""

    first_byte: float = 0.0
    alone: float = 0.0
    together: float = 0.0
    slowest_share: float = 0.0
    """Audio of the slowest of the clients that speak together, as a share of their mean."""
    identical: bool = False
    """Whether requests that run together have the bytes that they have alone."""
    statuses: dict[str, int] = field(default_factory=dict)
    memory_early: float = 0.0
    memory_end: float = 0.0

    @property
    def gain(self) -> float:
        """Sound a second together, as a multiple of alone."""
        return self.together / self.alone


@contextmanager
def running_server(ckpt: str, capacity: int) -> Iterator[tuple[str, psutil.Process]]:
    """Start the command `dia-serve`; yield its address and its process. Raises :class:`UserError`."""
    with tempfile.TemporaryDirectory() as voices:
        command = [sys.executable, "-m", "dia.serve", ckpt, "port=0", f"voices={voices}"]
        command += [f"capacity={capacity}", "waiting=64"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            line = process.stdout.readline() if process.stdout else ""
            try:
                if (match := ADDRESS.search(line)) is None:
                    raise UserError(f"the server did not start: {line.strip() or 'its message stands above'}")
                yield match[1], psutil.Process(process.pid)
            finally:
                process.terminate()


class Client:
    """Asks a server for speech, as PCM."""

    def __init__(self, http: Any) -> None:
        self._http = http

    async def speak(self, seed: int, cut_off: bool = False, **fields: Any) -> Answer:
        """Send a request; with ``cut_off`` go away after the first bytes."""
        body = {"input": TEXTS[seed % 10 % len(TEXTS)], "seed": seed, "lint": "off", **fields}
        begin, first, content = time.perf_counter(), 0.0, b""
        request = self._http.stream("POST", "/v1/audio/speech", json=body | {"response_format": "pcm"})
        async with request as response:
            async for part in response.aiter_bytes():
                first = first or time.perf_counter() - begin
                content += part
                if cut_off:
                    break
        return Answer(response.status_code, first, time.perf_counter() - begin, content)


async def measure(address: str, process: psutil.Process, config: BenchServeConfig) -> ServerFigures:
    """Measure a running server."""
    import httpx

    limits = httpx.Limits(max_connections=200)
    async with httpx.AsyncClient(base_url=address, timeout=600, limits=limits) as http:
        client, figures = Client(http), ServerFigures()
        for seed in range(2):  # warm up
            await client.speak(seed)
        firsts = [(await client.speak(seed)).first for seed in range(config.rounds)]
        figures.first_byte = statistics.median(firsts)
        await _throughput(client, config, figures)
        await _mixed_load(client, config, figures, process)
        return figures


async def _throughput(client: Client, config: BenchServeConfig, figures: ServerFigures) -> None:
    """Speak the same requests one after the other, and by several clients at a time."""
    seeds = [[10 * stream + number for number in range(config.rounds)] for stream in range(config.streams)]
    begin = time.perf_counter()
    alone = {seed: await client.speak(seed) for stream in seeds for seed in stream}
    figures.alone = sum(answer.audio_seconds for answer in alone.values()) / (time.perf_counter() - begin)

    async def one_client(stream: list[int]) -> tuple[dict[int, Answer], float]:
        start = time.perf_counter()
        answers = {seed: await client.speak(seed) for seed in stream}
        return answers, time.perf_counter() - start

    begin = time.perf_counter()
    results = await asyncio.gather(*(one_client(stream) for stream in seeds))
    seconds = time.perf_counter() - begin
    together = {seed: answer for answers, _ in results for seed, answer in answers.items()}
    figures.together = sum(answer.audio_seconds for answer in together.values()) / seconds
    figures.identical = all(answer.content == alone[seed].content for seed, answer in together.items())
    rates = [
        sum(answer.audio_seconds for answer in answers.values()) / elapsed for answers, elapsed in results
    ]
    figures.slowest_share = min(rates) / statistics.mean(rates)


async def _mixed_load(
    client: Client, config: BenchServeConfig, figures: ServerFigures, process: psutil.Process
) -> None:
    """Send requests of different lengths, some of which are cut off or wrong."""
    rng, statuses, done = random.Random(0), Counter[str](), 0
    pending = iter(range(config.requests))

    async def one_client() -> None:
        nonlocal done
        for number in pending:
            draw = rng.random()
            if draw < BAD_INPUT:
                answer = await client.speak(number, **rng.choice(BAD))
            else:
                answer = await client.speak(number, cut_off=draw < BAD_INPUT + CUT_OFF)
            statuses[str(answer.status)] += 1
            done += 1
            if done == EARLY:
                figures.memory_early = process.memory_info().rss / 2**20

    await asyncio.gather(*(one_client() for _ in range(CLIENTS)))
    figures.statuses = dict(sorted(statuses.items()))
    figures.memory_end = process.memory_info().rss / 2**20


def measure_server(config: BenchServeConfig) -> ServerFigures:
    """Start a server and measure it. Raises :class:`UserError` when it does not start."""
    with running_server(config.ckpt, config.streams) as (address, process):
        return asyncio.run(measure(address, process, config))


def report_of(figures: ServerFigures, config: BenchServeConfig) -> str:
    """Return the figures as lines of text."""
    lines = [
        f"first audio of an idle server: {figures.first_byte:.2f} s",
        f"one request at a time: {figures.alone:.2f} s of audio a second",
        f"{config.streams} at a time: {figures.together:.2f} s of audio a second, {figures.gain:.2f} times "
        f"as much; the slowest client gets {figures.slowest_share:.0%} of the mean",
        "the bytes are those of requests alone" if figures.identical else "BYTES DIFFER from requests alone",
    ]
    if config.requests:
        answers = ", ".join(f"{count} times {status}" for status, count in figures.statuses.items())
        lines.append(f"{config.requests} mixed requests: {answers}")
    if figures.memory_early:
        lines.append(
            f"memory after {EARLY} of them {figures.memory_early:.0f} MiB, "
            f"at the end {figures.memory_end:.0f} MiB"
        )
    return "\n".join(lines)


def as_dict(figures: ServerFigures) -> dict[str, Any]:
    """Return the figures for JSON."""
    return asdict(figures) | {"gain": figures.gain}
