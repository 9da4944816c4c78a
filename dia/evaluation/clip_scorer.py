"""Score the clips of an evaluation in any process, in which metrics and their models are opened once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from dia.config.judges import JudgesConfig
from dia.engines.run import Workers
from dia.errors import UserError
from dia.evaluation.cache import ContentCache, NotStored, StoredValues
from dia.evaluation.metrics.protocol import ClipScore, Context, Metric
from dia.evaluation.metrics.registry import build_metrics, choose_metrics
from dia.evaluation.metrics.unavailable import UnavailableMetric
from dia.evaluation.scoring import MetricOrigin, metric_origins, resolve_metrics, score_clip
from dia.evaluation.suites import Suite
from dia.judges.events import Calibration
from dia.judges.recording import Recording


@dataclass(frozen=True)
class ClipJob:
    """A clip of a suite to score; ``number`` identifies it among the jobs of the suite.

    With ``in_voices_of_data`` it is compared with the voices of the data, which the scorer holds, else with
    those of ``context``.
    """

    number: int
    suite: Suite
    recording: Recording
    context: Context
    in_voices_of_data: bool


@dataclass(frozen=True)
class ClipResult:
    """The scores of a job by the name of the metric, and how often the cache was looked up and had values."""

    number: int
    scores: Mapping[str, ClipScore]
    lookups: int
    hits: int


class ClipScorer:
    """Scores clips; an engine sends it to its workers, each of which builds the metrics when it starts.

    ``build`` returns the metrics; it is a function that can be pickled where there are workers. ``voices``
    are those of the data. Scores are stored in ``cache``, which all workers share, metric by metric.
    """

    def __init__(
        self, build: Callable[[], Sequence[Metric]], voices: tuple[Recording, ...], cache: ContentCache
    ) -> None:
        self.voices, self.cache = voices, cache
        self._build = build
        self._origins: Mapping[str, MetricOrigin] | None = None  # those of the command, in a worker

    @cached_property
    def metrics(self) -> list[Metric]:
        """The metrics of this process.

        Raises :class:`UserError` in a worker that has other models than the command, or lacks some.
        """
        metrics = list(self._build())
        if self._origins is not None:
            _require_equal(metric_origins(metrics), self._origins)
        return metrics

    def __getstate__(self) -> dict[str, Any]:
        origins = metric_origins(self.metrics)
        folder = self.cache.folder.absolute()  # a worker may have another working directory
        return {
            "voices": self.voices,
            "cache": ContentCache(folder),
            "_build": self._build,
            "_origins": origins,
        }

    def __call__(self, job: ClipJob) -> ClipResult:
        """Return the scores of a job; those that the cache lacks are computed and stored."""
        return self._score(job, ContentCache(self.cache.folder))

    def score(self, jobs: Sequence[ClipJob], workers: Workers[ClipJob, ClipResult]) -> Iterator[ClipResult]:
        """Yield the results of jobs, stored ones first, and the others in order of completion.

        The longest clips are scored first: a long one at the end would leave the other workers idle.
        """
        missing = []
        for job in jobs:
            try:
                yield self._counted(self._score(job, StoredValues(self.cache.folder)))
            except NotStored:
                missing.append(job)
        missing.sort(key=lambda job: -job.recording.seconds)
        yield from map(self._counted, workers.run(missing))

    def context_of(self, job: ClipJob) -> Context:
        """Return what the clip of a job is compared with."""
        return replace(job.context, voices=self.voices) if job.in_voices_of_data else job.context

    def _score(self, job: ClipJob, cache: ContentCache) -> ClipResult:
        metrics = metrics_of_suite(self.metrics, job.suite)
        clip = score_clip(metrics, job.recording, self.context_of(job), cache)
        return ClipResult(job.number, clip.scores, cache.lookups, cache.hits)

    def _counted(self, result: ClipResult) -> ClipResult:
        self.cache.lookups += result.lookups
        self.cache.hits += result.hits
        return result


def open_metrics(
    judges: JudgesConfig, calibration: Mapping[str, Calibration], names: Sequence[str]
) -> list[Metric]:
    """Return all metrics, with placeholders for those that ``names`` leave out or whose models are missing.

    Raises :class:`UserError` for unknown names.
    """
    return resolve_metrics(choose_metrics(build_metrics(judges, calibration), names))


def metrics_of_suite(metrics: Sequence[Metric], suite: Suite) -> list[Metric]:
    """Return the metrics, with placeholders for those that the suite leaves out."""
    reason = f"suite {suite.name} leaves it out, to be quick"
    return [
        UnavailableMetric(metric.name, reason) if metric.name in suite.without else metric
        for metric in metrics
    ]


def _require_equal(own: Mapping[str, MetricOrigin], expected: Mapping[str, MetricOrigin]) -> None:
    if different := sorted(name for name in {*own, *expected} if own.get(name) != expected.get(name)):
        raise UserError(
            f"a worker has other models for {', '.join(different)} than this command; install the same "
            "packages there, and give its DIA_MODELS the same files"
        )
