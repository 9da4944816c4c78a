"""Pairs of a checkpoint's own takes, judged by the metrics of the evaluation."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset

from dia.codecs.protocol import Codec, require_codec
from dia.config.data import DataConfig
from dia.config.engine import EngineConfig
from dia.config.preference_data import PreferenceDataConfig
from dia.data.preferences.pairs import JudgedTake, PairRule, TakePair, choose_pairs
from dia.data.preferences.schema import Preference
from dia.data.prepared import open_prepared, split_fingerprints
from dia.data.sources.held_out import is_held_out
from dia.dialogue import Script
from dia.engines.run import Workers
from dia.errors import UserError
from dia.evaluation.cache import ContentCache, open_cache
from dia.evaluation.calibration import read_calibration
from dia.evaluation.clip_scorer import open_metrics
from dia.evaluation.prompts import prompts_sha256
from dia.evaluation.rewards import TERMS
from dia.evaluation.suite_prompts import PromptItem, load_prompt_items
from dia.evaluation.suites import Suite
from dia.files import file_sha256
from dia.home import in_home
from dia.inference.decoding import decode_all
from dia.model import Dia
from dia.pipelines.evaluation.calibration_data import load_calibration_data, thresholds
from dia.pipelines.evaluation.take_jobs import CheckpointSource, fingerprints
from dia.pipelines.preferences.judge_takes import JudgeJob, Speaking, TakeJudge, TakeResult
from dia.pipelines.preferences.rows import PairAudio, PairSource, pair_row
from dia.progress import Progress

BATCH = 8  # takes that are generated together
VERSION = 1  # raise when the same request yields other pairs
SPLITS = ("train", "validation")


@dataclass(frozen=True)
class ScriptLabels:
    """What a script's row says beside its text: licence, and the voice of each turn where it is known."""

    licence: str
    commercial_ok: bool
    voices: tuple[str, ...] = ()


class JudgedTakes:
    """Pairs of a checkpoint's takes; see :class:`dia.pipelines.preferences.prepare.PairSource`.

    Raises :class:`UserError` for a checkpoint, scripts or a calibration that cannot be opened, and for a
    checkpoint of another codec.
    """

    def __init__(self, config: DataConfig, codec: Codec) -> None:
        self.config, self.settings, self.codec = config, config.preferences, codec
        self.source = CheckpointSource(self.settings.ckpt, codec.name, None, self.settings.sampling)
        self.dia: Dia = self.source.open(config.device)
        require_codec(codec, self.dia.codec.fingerprint, f"data.preferences.ckpt={self.settings.ckpt}")
        self.items, self.labels = _scripts(self.settings, config.held_out)

    def request(self) -> dict[str, Any]:
        """Return everything that the pairs depend on."""
        settings = asdict(self.settings)
        for name in ("cache", "ckpt", "scripts", "calibration", "votes", "key", "runs", "table"):
            settings.pop(name)
        calibration = self.settings.calibration
        return {
            "takes": settings,
            "version": VERSION,
            "checkpoint": fingerprints(self.dia),
            "sampling": asdict(self.dia.default_sampling),
            "prompts": {
                split: prompts_sha256(item.prompt for item in items) for split, items in self.items.items()
            },
            "recordings": _data_fingerprints(self.settings.scripts),
            "calibration": file_sha256(Path(calibration)) if calibration else "",
        }

    def rows(self, engine: EngineConfig) -> tuple[dict[str, list[dict[str, Any]]], Counter[str], list[Any]]:
        """Return the rows by split, counts of what became of takes and scripts, and unusable scripts."""
        cache = open_cache(in_home(self.settings.cache))
        judge, speaking, left_out = self._judge(cache)
        results = _judge_all(judge, speaking, self.settings.takes, engine)
        counts = Counter[str]()
        rows: dict[str, list[dict[str, Any]]] = {}
        for split, scripts in speaking.items():
            own = {(item.prompt.id, seed) for item in scripts for seed in range(self.settings.takes)}
            takes = {key: result for key, result in results.items() if key in own}
            counts["takes: judged"] += len(takes)
            vetoes = set(self.settings.rewards.vetoes)
            judged = [_judged(result, vetoes) for _, result in sorted(takes.items())]
            counts["takes: with a veto"] += sum(bool(take.vetoes) for take in judged)
            pairs, outcomes = choose_pairs(judged, _rule(self.settings))
            counts.update(outcomes)
            by_id = {item.prompt.id: item for item in scripts}
            rows[split] = [self._row(split, pair, by_id[pair.chosen.prompt_id], takes) for pair in pairs]
        return rows, counts, left_out

    def _judge(self, cache: ContentCache) -> tuple[TakeJudge, dict[str, list[Speaking]], list[Any]]:
        """Return the judge, the scripts to speak by split, and the scripts whose voice cannot be used."""
        splits = None if _is_jsonl(self.settings.scripts) else open_prepared(Path(self.settings.scripts))
        labelled = load_calibration_data(splits, cache, self.settings.judges.events)
        on_people = read_calibration(self.settings.calibration) if self.settings.calibration else None
        calibration = thresholds(labelled, on_people, self.settings.judges.events)
        left_out: list[Any] = []
        speaking: dict[str, list[Speaking]] = {}
        for split, items in self.items.items():
            speaking[split] = []
            for item in items:
                try:
                    speaking[split].append(Speaking.of(self.dia, item, labelled.voices))
                except UserError as error:
                    left_out.append({"id": item.prompt.id, "error": str(error)})
        build = partial(open_metrics, self.settings.judges, calibration, [])
        terms = tuple(self.settings.rewards.weights)
        judge = TakeJudge(self.dia, self.source, build, calibration, terms, cache)
        return judge, speaking, left_out

    def _row(
        self, split: str, pair: TakePair, item: Speaking, takes: Mapping[tuple[str, int], TakeResult]
    ) -> dict[str, Any]:
        chosen, rejected = (takes[take.prompt_id, take.seed] for take in (pair.chosen, pair.rejected))
        waveforms = decode_all(self.codec, [torch.from_numpy(each.codes_TC) for each in (chosen, rejected)])
        labels = self.labels[item.prompt.id]
        source = PairSource(
            f"{item.prompt.id}-{chosen.seed}-{rejected.seed}",
            f"takes of {self.settings.ckpt}",
            labels.licence,
            labels.commercial_ok,
            Script.parse(item.prompt.script),
            labels.voices,
            chosen.turn_times,
        )
        preference = Preference(
            prompt_id=item.prompt.id,
            rejected_codes=rejected.codes_TC.astype("uint16"),
            rejected_ended=rejected.ended,
            margin=pair.margin,
            origin=_describe(self.settings),
            chosen_scores=_scores_json(chosen),
            rejected_scores=_scores_json(rejected),
            voice_script=item.voice_script,
        )
        if item.voice_TC is not None:
            preference = replace(preference, voice_codes=item.voice_TC.astype("uint16"))
        audio = PairAudio(waveforms[0], waveforms[1], self.codec.sample_rate).at(self.config.sample_rate)
        return pair_row(
            source,
            split,
            chosen.codes_TC,
            self.codec.name,
            audio,
            preference,
            keep_audio=self.config.keep_audio,
        )


def _is_jsonl(scripts: str) -> bool:
    return scripts.endswith(".jsonl")


def _scripts(
    settings: PreferenceDataConfig, held_out: float
) -> tuple[dict[str, list[PromptItem]], dict[str, ScriptLabels]]:
    """Return the scripts by split, and the labels of each by its id."""
    if _is_jsonl(settings.scripts):
        suite = Suite("scripts", settings.count["train"], settings.takes, 0, file=settings.scripts)
        items = load_prompt_items(suite, None)
        is_validation = {item.prompt.id: is_held_out(item.prompt.id, held_out) for item in items}
        by_split = {
            "train": [item for item in items if not is_validation[item.prompt.id]],
            "validation": [item for item in items if is_validation[item.prompt.id]],
        }
        return by_split, {item.prompt.id: ScriptLabels(item.prompt.licence, False) for item in items}
    data = open_prepared(Path(settings.scripts))
    by_split, labels = dict[str, list[PromptItem]](), dict[str, ScriptLabels]()
    for split in SPLITS:
        count = settings.count.get(split, 0)
        if not count or split not in data:
            continue
        by_split[split] = load_prompt_items(Suite("scripts", count, settings.takes, 0, split=split), data)
        labels |= _labels(data[split].select(range(min(count, len(data[split])))))
    return by_split, labels


def _labels(rows: Dataset) -> dict[str, ScriptLabels]:
    columns = rows.select_columns(["id", "licence", "commercial_ok", "turns"])
    return {
        str(row["id"]): ScriptLabels(
            str(row["licence"]), bool(row["commercial_ok"]), tuple(turn["voice"] for turn in row["turns"])
        )
        for row in columns
    }


def _data_fingerprints(scripts: str) -> dict[str, str]:
    return {} if _is_jsonl(scripts) else split_fingerprints(Path(scripts))


def _judge_all(
    judge: TakeJudge, speaking: Mapping[str, Sequence[Speaking]], takes: int, engine: EngineConfig
) -> dict[tuple[str, int], TakeResult]:
    """Return all takes by prompt and seed. Jobs, and so results, do not depend on the engine."""
    pairs = [(item, seed) for items in speaking.values() for item in items for seed in range(takes)]
    jobs = [JudgeJob(tuple(pairs[begin : begin + BATCH])) for begin in range(0, len(pairs), BATCH)]
    results: dict[tuple[str, int], TakeResult] = {}
    with (
        Progress("judging takes", len(pairs), unit="takes") as progress,
        Workers(engine, judge, gpu=False) as workers,
    ):
        for judged in workers.run(jobs):
            results |= {(take.prompt_id, take.seed): take for take in judged}
            progress.advance(len(judged))
    return results


def _judged(result: TakeResult, vetoes: set[str]) -> JudgedTake:
    ruled_out = tuple(kind for kind in result.failures if kind in vetoes)
    return JudgedTake(result.prompt_id, result.seed, result.terms, ruled_out)


def _rule(settings: PreferenceDataConfig) -> PairRule:
    noise = {name: TERMS[name].noise for name in settings.rewards.weights}
    return PairRule(settings.rewards.weights, noise, settings.deviations, settings.pairs_per_script)


def _scores_json(take: TakeResult) -> str:
    scores: dict[str, Any] = dict(take.terms)
    if take.failures:
        scores["failures"] = ", ".join(take.failures)
    return json.dumps(scores, sort_keys=True)


def _describe(settings: PreferenceDataConfig) -> str:
    weights = ", ".join(f"{name} {weight:g}" for name, weight in settings.rewards.weights.items())
    return f"judges ({weights})"
