"""Evaluate checkpoints and recorded systems on suites of prompts: from a configuration to the results object.

The steps, one module each: prompts (`dia/evaluation/suite_prompts.py`), takes (`collect_takes.py`,
`generate_takes.py`), scores and comparisons (`dia/evaluation/score_suite.py`), results
(`dia/evaluation/results.py`). Takes and scores are cached; the same seeds give the same scores.json.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from dia.config.eval import EvalConfig
from dia.errors import UserError
from dia.evaluation.cache import ContentCache, open_cache
from dia.evaluation.calibration import read_calibration
from dia.evaluation.metrics.registry import build_metrics
from dia.evaluation.not_measured import NotMeasured
from dia.evaluation.results import CacheUse, DetectorResult, EvaluationResults
from dia.evaluation.score_suite import score_suite
from dia.evaluation.scoring import metric_origins, resolve_metrics
from dia.evaluation.suite_prompts import NoPrompts, PromptItem, load_prompt_items
from dia.evaluation.suites import Suite, load_suites
from dia.evaluation.takes import BASELINE, MODEL
from dia.home import existing, in_home
from dia.model import Dia
from dia.pipelines.evaluation.calibration_data import CalibrationData, load_calibration_data
from dia.pipelines.evaluation.collect_takes import collect_takes, recording_problems
from dia.pipelines.evaluation.generate_takes import TakeGenerator, choose_voice, measure_speed
from dia.pipelines.evaluation.load_inputs import EvaluationInputs, load_inputs, load_learning_curve
from dia.systems.read_recordings import read_recorded


def evaluate(config: EvalConfig) -> EvaluationResults:
    """Return the results of an evaluation.

    Raises :class:`UserError` for a missing checkpoint, suite, codec or recording, before anything is
    generated.
    """
    suites = [suite.limited(config.prompts, config.seeds) for suite in load_suites(config.suite)]
    on_people = read_calibration(config.calibration) if config.calibration else None
    recorded = [read_recorded(existing(folder)) for folder in config.systems]
    inputs = load_inputs(config, needs_data=any(suite.split for suite in suites))
    items_by_suite, not_measured = _load_prompts(suites, inputs)
    cache = open_cache(in_home(config.cache))
    labelled = load_calibration_data(inputs.splits, cache)
    metrics = resolve_metrics(build_metrics(config.judges, labelled.calibration))
    generators = _take_generators(config, inputs, labelled, cache)

    results = []
    for suite in suites:
        items = items_by_suite.get(suite.name)
        if items is not None:
            codec = inputs.dia.codec if inputs.dia else None
            takes = collect_takes(items, suite.seeds, codec, generators, recorded)
            results.append(score_suite(suite, items, takes, metrics, labelled.voices, cache))
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
        detector=DetectorResult(labelled.clips, labelled.missing, labelled.calibration, on_people),
        origins=metric_origins(metrics),
        problems=tuple(recording_problems(recorded, items)),
        learning=load_learning_curve(existing(config.ckpt)) if config.ckpt else None,
        speed=measure_speed(inputs.dia, items) if config.timing and inputs.dia else None,
        cache=CacheUse(str(cache.folder), cache.lookups, cache.hits),
    )


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


def _take_generators(
    config: EvalConfig, inputs: EvaluationInputs, labelled: CalibrationData, cache: ContentCache
) -> list[TakeGenerator]:
    return [
        TakeGenerator(dia, cache, choose_voice(dia, labelled.voices, config.voice), name)
        for dia, name in ((inputs.baseline, BASELINE), (inputs.dia, MODEL))
        if dia
    ]


def _about(dia: Dia | None) -> Mapping[str, Any]:
    """Return codec and sampling of the checkpoint."""
    if dia is None:
        return {}
    return {
        "codec": {"name": dia.codec.name, "fingerprint": dia.codec.fingerprint},
        "sampling": asdict(dia.default_sampling),
    }
