"""Generate takes and judge them in any process, in which the checkpoint and the metrics are opened once.

Codes and scores are cached by content, so that a preparation that was interrupted, and one with other
weights or vetoes, computes nothing again.

Legend: T codec frame, C codec channel.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, cached_property, partial
from typing import Any

import numpy as np
import torch

from dia.dialogue import Script
from dia.dialogue.script import normalize_text
from dia.evaluation.cache import ContentCache, take_key
from dia.evaluation.metrics.protocol import ClipScore, Context, Metric, context_key
from dia.evaluation.prompts import Prompt
from dia.evaluation.rewards import FAILURES, TERMS, TakeScores
from dia.evaluation.scoring import decode_values, score_clip
from dia.evaluation.suite_prompts import PromptItem
from dia.inference.decoding import decode_all
from dia.inference.engine import generate_codes
from dia.inference.request import Request
from dia.inference.voice import Voice
from dia.judges.events import Calibration
from dia.judges.recording import Recording, Times
from dia.model import Dia
from dia.pipelines.evaluation.generate_takes import open_voice
from dia.pipelines.evaluation.take_jobs import CheckpointSource, Codes, device_type, fingerprints

VERSION = 1  # raise when generation changes for the same weights, text and seed
TURNS = "turns"  # the metric that locates them


@dataclass(frozen=True)
class Speaking:
    """A script to speak: its prompt, the text of the request, and its voice prompt, where there is one."""

    prompt: Prompt
    text: str
    context: Context
    voice_script: str = ""
    voice_TC: Codes | None = None

    @classmethod
    def of(cls, dia: Dia, item: PromptItem, voices: tuple[Recording, ...]) -> "Speaking":
        """Return the script of a prompt, compared with its own voice prompt, else with ``voices``.

        Raises :class:`UserError` for a voice prompt that the model cannot continue.
        """
        text = normalize_text(item.prompt.script)
        if item.voice is None:
            return cls(item.prompt, text, Context(item.prompt, voices, item.reference))
        voice: Voice = open_voice(dia, item.voice)
        context = Context(item.prompt, (item.voice,), item.reference)
        codes_TC = voice.codes_TC.numpy()
        return cls(item.prompt, voice.script(text), context, item.voice.script.render(), codes_TC)


@dataclass(frozen=True)
class JudgeJob:
    """Takes to generate together and to judge: of each script with its seed."""

    takes: tuple[tuple[Speaking, int], ...]


@dataclass(frozen=True)
class TakeResult:
    """A judged take: codes (T, C), whether it ended, terms, failures, and the times of located turns."""

    prompt_id: str
    seed: int
    codes_TC: Codes
    ended: bool
    terms: Mapping[str, float]
    failures: tuple[str, ...]
    turn_times: tuple[Times | None, ...]


class TakeJudge:
    """Generates and judges takes; an engine sends it to its workers.

    ``build`` returns the metrics, and is a function that can be pickled where there are workers. Only those
    that the terms need, that of failures, and that which locates turns are measured.
    """

    def __init__(
        self,
        dia: Dia,
        source: CheckpointSource,
        build: Callable[[], Sequence[Metric]],
        calibration: Mapping[str, Calibration],
        terms: Sequence[str],
        cache: ContentCache,
    ) -> None:
        self.calibration, self.terms, self.cache = calibration, tuple(terms), cache
        self._source, self._build = source, build
        self._dia: Dia | None = dia
        self._expected, self._device = fingerprints(dia), device_type(dia)

    def __getstate__(self) -> dict[str, Any]:
        assert self._dia is not None
        own = {key: value for key, value in self.__dict__.items() if key != "metrics"}
        return own | {
            "_dia": None,
            "_source": self._source.portable(self._dia),
            "cache": ContentCache(self.cache.folder.absolute()),
        }

    @cached_property
    def metrics(self) -> Sequence[Metric]:
        """The metrics of this process."""
        needed = {*(TERMS[name].metric for name in self.terms), FAILURES, TURNS}
        return [metric for metric in self._build() if metric.name in needed]

    @property
    def dia(self) -> Dia:
        """The checkpoint. Raises :class:`UserError` in a worker that opens other weights."""
        if self._dia is None:
            self._dia = self._source.open_expected(self._device, self._expected)
        return self._dia

    def __call__(self, job: JudgeJob) -> list[TakeResult]:
        """Return the judged takes of a job."""
        codes = self._codes(job.takes)
        return [
            self._judged(speaking, seed, codes_TC, ended=ended)
            for (speaking, seed), (codes_TC, ended) in zip(job.takes, codes, strict=True)
        ]

    def _codes(self, takes: Sequence[tuple[Speaking, int]]) -> list[tuple[Codes, bool]]:
        """Return codes and whether they ended; those that the cache lacks are generated together."""
        generated: dict[int, dict[str, Any]] = {}

        def compute(place: int) -> dict[str, Any]:
            if not generated:
                generated.update(self._generate(takes))
            return generated[place]

        channels = self.dia.codec.channels
        stored = [
            self.cache.get_or_compute(self._key(*take), partial(compute, place))
            for place, take in enumerate(takes)
        ]
        return [
            (np.array(values["codes"], dtype=np.int64).reshape(-1, channels), bool(values["ended"]))
            for values in stored
        ]

    def _generate(self, takes: Sequence[tuple[Speaking, int]]) -> dict[int, dict[str, Any]]:
        requests = [
            Request(
                speaking.text,
                seed,
                None if speaking.voice_TC is None else torch.from_numpy(speaking.voice_TC),
            )
            for speaking, seed in takes
        ]
        dia = self.dia
        results = generate_codes(
            dia.network, requests, dia.default_sampling, dia.network.config.decoder.max_positions
        )
        return {
            place: {"codes": result.codes_TC.tolist(), "ended": result.ended}
            for place, result in enumerate(results)
        }

    def _judged(self, speaking: Speaking, seed: int, codes_TC: Codes, *, ended: bool) -> TakeResult:
        scores = self._scores(speaking, seed, codes_TC, ended=ended)
        judged = TakeScores.of(scores, self.terms, self.calibration, ended=ended)
        turns = scores[TURNS]
        script = Script.parse(speaking.prompt.script)
        times = turns.values["times"] if turns.measured else [None] * len(script.turns)
        return TakeResult(
            speaking.prompt.id,
            seed,
            codes_TC,
            ended,
            judged.terms,
            judged.failures,
            tuple(None if pair is None else (float(pair[0]), float(pair[1])) for pair in times),
        )

    def _scores(self, speaking: Speaking, seed: int, codes_TC: Codes, *, ended: bool) -> dict[str, ClipScore]:
        """Return the scores of a take by metric; it is decoded only where the cache lacks one."""
        prompt, context = speaking.prompt, speaking.context

        @cache
        def recording() -> Recording:
            (waveform,) = decode_all(self.dia.codec, [torch.from_numpy(codes_TC)])
            script, rate = Script.parse(prompt.script), self.dia.codec.sample_rate
            return Recording(
                prompt.id, "take", script, waveform, rate, seed, ended=ended, language=prompt.language
            )

        def compute(metric: Metric) -> dict[str, Any]:
            return score_clip([metric], recording(), context).scores[metric.name].to_json()

        take, scores = self._key(speaking, seed), dict[str, ClipScore]()
        for metric in self.metrics:
            described = context_key(metric, context) | {"kind": "score", "take": take}
            values = self.cache.get_or_compute(take_key(**described), partial(compute, metric))
            scores[metric.name] = ClipScore.of(prompt, seed, decode_values(values))
        return scores

    def _key(self, speaking: Speaking, seed: int) -> str:
        return take_key(
            kind="codes",
            version=VERSION,
            text=speaking.text,
            seed=seed,
            voice=None if speaking.voice_TC is None else speaking.voice_TC.tolist(),
            sampling=asdict(self.dia.default_sampling),
            **self._expected,
        )
