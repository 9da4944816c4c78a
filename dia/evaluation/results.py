"""The results object of an evaluation, from which all files and tables are rendered."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from dia.evaluation.comparison import Comparison
from dia.evaluation.not_measured import NotMeasured
from dia.evaluation.prompts import Prompt, prompts_sha256
from dia.evaluation.scoring import MetricOrigin, SystemResult, clip_rows
from dia.evaluation.suites import Suite
from dia.evaluation.takes import REFERENCES
from dia.judges.events import Calibration

SCORES = "scores.json"  # the file of an evaluation that :meth:`EvaluationResults.to_json` describes


@dataclass(frozen=True)
class SuiteResult:
    """The systems of one suite, and how they compare."""

    suite: Suite
    prompts: tuple[Prompt, ...]
    systems: tuple[SystemResult, ...]
    comparisons: tuple[Comparison, ...]

    def takes(self, *names: str) -> tuple[int, int]:
        """Return the smallest and the largest number of takes of a prompt among the systems ``names``.

        Recorded systems may have another number than the suite declares. Without names all systems count but
        the references, which have one take.
        """
        takes = {system.name: system.takes for system in self.systems}
        chosen = names or [name for name in takes if name not in REFERENCES] or list(takes)
        counts = [takes[name] for name in chosen] or [self.suite.seeds]
        return min(counts), max(counts)

    def to_json(self) -> dict[str, Any]:
        """Return the suite as scores.json stores it."""
        return {
            "suite": asdict(self.suite),
            "prompts": len(self.prompts),
            "prompts_sha256": prompts_sha256(self.prompts),
            "systems": {
                system.name: {name: result.to_json() for name, result in system.metrics.items()}
                for system in self.systems
            },
            "failures": {
                system.name: _count(reason for _, reason in system.failures) for system in self.systems
            },
            "comparisons": [asdict(comparison) for comparison in self.comparisons],
        }


@dataclass(frozen=True)
class DetectorResult:
    """The accuracy of the nonverbal detector: on ``clips`` of the data, and ``on_people`` where measured.

    ``missing`` says why there is no calibration, empty where there is one.
    """

    clips: int = 0
    missing: str = ""
    calibration: Mapping[str, Calibration] = field(default_factory=dict)
    on_people: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as scores.json stores it."""
        tags = {tag: asdict(item) | {"measurable": item.measurable} for tag, item in self.calibration.items()}
        return {"clips": self.clips, "missing": self.missing, "tags": tags, "on_people": self.on_people}


@dataclass(frozen=True)
class LearningCurve:
    """Losses of a training run in nats: (step, loss) points.

    ``marginal`` is the loss of the marginal token distribution, that is of guessing by token frequency.
    """

    training: list[tuple[int, float]]
    validation: list[tuple[int, float]]
    marginal: float

    def to_json(self) -> dict[str, float]:
        """Return it as scores.json stores it: the last loss alone."""
        return {"loss": self.training[-1][1], "marginal_loss": self.marginal}


@dataclass(frozen=True)
class GenerationSpeed:
    """Speed of the checkpoint, one prompt at a time; it is not part of scores.json."""

    prompts: int
    seconds_of_sound: float
    times_real_time: float


@dataclass(frozen=True)
class CacheUse:
    """How many takes and scores were looked up in the cache ``folder``, and how many were present."""

    folder: str
    lookups: int
    hits: int


@dataclass(frozen=True)
class EvaluationResults:
    """Everything that an evaluation measured.

    ``checkpoint`` is empty where only recordings were scored; ``baseline`` is the other checkpoint, if any.
    ``about_checkpoint`` has its codec and sampling. ``origins`` are versions and models by metric.
    """

    checkpoint: str
    quantization: str | None
    recordings: tuple[str, ...]
    about_checkpoint: Mapping[str, Any]
    suites: tuple[SuiteResult, ...]
    suites_not_measured: Mapping[str, NotMeasured]
    detector: DetectorResult
    origins: Mapping[str, MetricOrigin]
    problems: tuple[str, ...]
    learning: LearningCurve | None
    speed: GenerationSpeed | None
    cache: CacheUse
    baseline: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the content of scores.json; nothing in it depends on when, or how fast, it was measured."""
        return {
            "checkpoint": self.checkpoint,
            "quantization": self.quantization,
            "recordings": list(self.recordings),
            **self.about_checkpoint,
            "suites": {item.suite.name: item.to_json() for item in self.suites},
            "suites_not_measured": {name: str(reason) for name, reason in self.suites_not_measured.items()},
            "detector": self.detector.to_json(),
            "provenance": {name: _origin(origin) for name, origin in self.origins.items()},
            "problems": list(self.problems),
            "training": self.learning.to_json() if self.learning else None,
        }

    def clip_rows(self) -> list[dict[str, Any]]:
        """Return the rows of clips.parquet, one per clip."""
        return [
            row
            for item in self.suites
            for system in item.systems
            for row in clip_rows(item.suite.name, system)
        ]

    def left_out(self) -> list[str]:
        """Return a sentence for everything that is missing: problems of recordings, and failed takes."""
        return list(self.problems) + [
            f"{item.suite.name}: {system.name}: {len(system.failures)} takes failed"
            for item in self.suites
            for system in item.systems
            if system.failures
        ]


def _origin(origin: MetricOrigin) -> dict[str, Any]:
    models = origin.models
    stored = str(models) if isinstance(models, NotMeasured) else [asdict(model) for model in models]
    return {"version": origin.version, "models": stored}


def _count(reasons: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for reason in reasons:
        counts[reason] = counts.get(reason, 0) + 1
    return counts
