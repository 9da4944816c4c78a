"""Evaluate checkpoints and recorded systems on suites of prompts: from a configuration to the results object.

The steps, one module each: prompts (`dia/evaluation/suite_prompts.py`), takes (`collect_takes.py`,
`generate_takes.py`), scores and comparisons (`dia/evaluation/score_suite.py`), results
(`dia/evaluation/results.py`). Workers (`dia/engines`) make takes and scores, which are cached; the same seeds
give the same scores.json with any number of workers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from dia.config.checks import bullet_list
from dia.config.choices import EngineKind
from dia.config.eval import EvalConfig
from dia.engines.gpus import visible_gpus
from dia.engines.run import Workers
from dia.errors import UserError
from dia.evaluation.cache import ContentCache, open_cache
from dia.evaluation.calibration import read_calibration
from dia.evaluation.clip_scorer import ClipScorer, open_metrics
from dia.evaluation.not_measured import NotMeasured
from dia.evaluation.results import CacheUse, DetectorResult, EvaluationResults
from dia.evaluation.score_suite import score_suite
from dia.evaluation.scoring import metric_origins
from dia.evaluation.suite_prompts import NoPrompts, PromptItem, load_prompt_items
from dia.evaluation.suites import Suite, load_suites
from dia.evaluation.takes import BASELINE, MODEL, OWN
from dia.home import existing, in_home
from dia.inference.voice import Voice
from dia.model import Dia
from dia.pipelines.evaluation.calibration_data import load_calibration_data, thresholds
from dia.pipelines.evaluation.collect_takes import collect_takes, recording_problems
from dia.pipelines.evaluation.generate_takes import TakeGenerator, choose_voice, measure_speed
from dia.pipelines.evaluation.load_inputs import (
    EvaluationInputs,
    checkpoint_source,
    load_inputs,
    load_learning_curve,
)
from dia.pipelines.evaluation.take_jobs import TakeJob, TakeMaker, Takes, device_type
from dia.systems.read_recordings import read_recorded, with_distinct_names


def evaluate(config: EvalConfig) -> EvaluationResults:
    """Return the results of an evaluation.

    Raises :class:`UserError` for a missing checkpoint, suite, codec or recording, before anything is
    generated, and when a worker is lost; what is finished is stored.
    """
    if problems := config.engine.problems():
        raise UserError(bullet_list("the configuration has problems:", problems))
    suites = [suite.limited(config.prompts, config.seeds) for suite in load_suites(config.suite)]
    on_people = read_calibration(config.calibration) if config.calibration else None
    recorded = with_distinct_names(
        [read_recorded(existing(folder)) for folder in config.systems], config.systems, OWN
    )
    inputs = load_inputs(config, needs_data=any(suite.split for suite in suites))
    items_by_suite, not_measured = _load_prompts(suites, inputs)
    cache = open_cache(in_home(config.cache))
    labelled = load_calibration_data(inputs.splits, cache, config.judges.events)
    calibration = thresholds(labelled, on_people, config.judges.events)
    build = partial(open_metrics, config.judges, calibration, tuple(config.metrics))
    scorer = ClipScorer(build, labelled.speakers, cache)
    origins = metric_origins(scorer.metrics)
    checkpoints = {
        name: dia for name, dia in ((BASELINE, inputs.baseline), (MODEL, inputs.dia)) if dia is not None
    }
    voices = {name: choose_voice(dia, labelled.voices, config.voice) for name, dia in checkpoints.items()}
    results = []
    with (
        _take_workers(config, checkpoints, cache) as take_workers,
        Workers(config.engine, scorer, gpu=False) as workers,
    ):
        for suite in suites:
            items = items_by_suite.get(suite.name)
            if items is not None:
                generators = _generators(suite, config, checkpoints, voices, cache)
                takes = collect_takes(items, suite.seeds, generators, recorded, take_workers)
                results.append(score_suite(suite, items, takes, scorer, workers))
    if not any(result.systems for result in results):
        raise UserError(
            "no system has a take of these suites' prompts; give ckpt=..., or systems=[outputs/SYSTEM/RUN] "
            "of recordings on the same suite"
        )
    items = [item for items in items_by_suite.values() for item in items]
    return EvaluationResults(
        checkpoint=config.ckpt,
        quantization=config.quantization,
        recordings=tuple(config.systems),
        about_checkpoint=_about(inputs.dia),
        suites=tuple(results),
        suites_not_measured=not_measured,
        detector=DetectorResult(
            labelled.clips, "" if on_people else labelled.missing, labelled.calibration, on_people
        ),
        origins=origins,
        problems=tuple(recording_problems(recorded, items)),
        learning=load_learning_curve(existing(config.ckpt)) if config.ckpt else None,
        speed=measure_speed(inputs.dia, items) if config.timing and inputs.dia else None,
        cache=CacheUse(str(cache.folder), cache.lookups, cache.hits),
        baseline=config.baseline,
    )


def _generators(
    suite: Suite,
    config: EvalConfig,
    checkpoints: Mapping[str, Dia],
    voices: Mapping[str, Voice | None],
    cache: ContentCache,
) -> list[TakeGenerator]:
    """Return a generator of each checkpoint, or of each checkpoint and protocol of the suite.

    A suite of protocols does not choose a voice from the data, which would take the room of long pieces.
    """
    if not suite.protocols:
        return [TakeGenerator(dia, cache, voices[name], name) for name, dia in checkpoints.items()]
    return [
        TakeGenerator(dia, cache, voices[name] if config.voice else None, name, protocol)
        for name, dia in checkpoints.items()
        for protocol in suite.protocols
    ]


def _load_prompts(
    suites: Sequence[Suite], inputs: EvaluationInputs
) -> tuple[dict[str, list[PromptItem]], dict[str, NotMeasured]]:
    """Return the prompts of each suite, and why other suites have none; a suite on its own must have some."""
    items: dict[str, list[PromptItem]] = {}
    not_measured: dict[str, NotMeasured] = {}
    for suite in suites:
        try:
            items[suite.name] = load_prompt_items(suite, inputs.splits)
        except NoPrompts as error:
            if len(suites) == 1:
                raise
            not_measured[suite.name] = NotMeasured(str(error))
    return items, not_measured


def _take_workers(
    config: EvalConfig, checkpoints: Mapping[str, Dia], cache: ContentCache
) -> Workers[TakeJob, Takes]:
    """Return the workers that make takes of checkpoints by system.

    Local ones on GPUs are as many as there are GPUs; on a single one this process makes them.
    """
    names = {BASELINE: config.baseline, MODEL: config.ckpt}
    sources = {system: checkpoint_source(config, names[system]) for system in checkpoints}
    gpu = any(device_type(dia) == "cuda" for dia in checkpoints.values())
    engine = config.engine
    if gpu and engine.kind is EngineKind.local:
        count = min(engine.workers, len(visible_gpus()))
        engine = replace(engine, workers=count if count > 1 else 0)
    return Workers(engine, TakeMaker(checkpoints, sources, cache), gpu=gpu)


def _about(dia: Dia | None) -> Mapping[str, Any]:
    """Return codec and sampling of the checkpoint."""
    if dia is None:
        return {}
    return {
        "codec": {"name": dia.codec.name, "fingerprint": dia.codec.fingerprint},
        "sampling": asdict(dia.default_sampling),
    }
