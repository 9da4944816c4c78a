"""A metric of loudness, clips of constant level, and results of them, for tests of the evaluation."""

import numpy as np

from dia.config.engine import EngineConfig
from dia.dialogue import Script
from dia.engines.run import Workers
from dia.evaluation.cache import ContentCache
from dia.evaluation.clip_scorer import ClipScorer
from dia.evaluation.metrics.protocol import Context, contributions_of
from dia.evaluation.metrics.result import summarise_rate, summarise_ratio
from dia.evaluation.metrics.unavailable import UnavailableMetric
from dia.evaluation.prompts import Prompt
from dia.evaluation.results import CacheUse, DetectorResult, EvaluationResults, SuiteResult
from dia.evaluation.score_suite import score_suite
from dia.evaluation.scoring import compare_systems, metric_origins, score_clip, summarise_system
from dia.evaluation.suites import Suite
from dia.judges.provenance import Provenance
from dia.judges.recording import Recording


class Loudness:
    """How loud a clip is, and whether it is loud; counts its calls."""

    name, version, reads = "loudness", "1", ()

    def __init__(self):
        self.calls = 0

    def provenance(self):
        return (Provenance("a test's own", "1", 16_000, "Apache-2.0", True),)

    def measure(self, recording, context):
        self.calls += 1
        level = float(np.abs(recording.waveform).mean())
        return {"level": level, "loud": float(level > 0.5), "by_window": [level]}

    def summarise(self, clips):
        return [
            summarise_ratio("loudness", contributions_of(clips, "level"), "no clip", 1, headline=True),
            summarise_rate("loud", contributions_of(clips, "loud"), "no clip", 1),
        ]


METRICS = [Loudness(), UnavailableMetric("utmos", "no model is named")]


def prompt(number):
    return Prompt(f"p{number}", f"[S1] Clip <{number}>.")


def clip(system, number, level, seed=0):
    own = prompt(number)
    waveform = np.full(1600, level, np.float32)
    return Recording(own.id, system, Script.parse(own.script), waveform, 16_000, seed), Context(own)


def system_of(name, levels, cache, failures=(), metrics=METRICS):
    clips = [score_clip(metrics, *clip(name, number, level), cache) for number, level in enumerate(levels)]
    return summarise_system(name, clips, failures, metrics)


def score_in_process(suite, items, takes, metrics, voices, folder):
    """The results of a suite that this process scores."""
    scorer = ClipScorer(lambda: metrics, voices, ContentCache(folder))
    with Workers(EngineConfig(workers=0), scorer, gpu=False) as workers:
        return score_suite(suite, items, takes, scorer, workers)


def results_of(*systems, checkpoint="runs/one", metrics=METRICS, **known):
    """Results of one suite of these systems."""
    prompts = {clip.context.prompt for system in systems for clip in system.clips}
    suite = Suite("quick", len(prompts), 1, 2, split="test")
    ordered = tuple(sorted(prompts, key=lambda own: own.id))
    result = SuiteResult(suite, ordered, tuple(systems), tuple(compare_systems(systems)))
    content = {
        "checkpoint": checkpoint,
        "quantization": None,
        "recordings": (),
        "about_checkpoint": {},
        "suites": (result,),
        "suites_not_measured": {},
        "detector": DetectorResult(missing="no file"),
        "origins": metric_origins(metrics),
        "problems": (),
        "learning": None,
        "speed": None,
        "cache": CacheUse("outputs/.cache", 10, 4),
    }
    return EvaluationResults(**content | known)
