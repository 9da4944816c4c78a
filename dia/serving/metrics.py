"""Figures for Prometheus, read from the worker at each scrape."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from dia.serving.worker import SpeechWorker

OUTCOMES = ("finished", "failed", "cancelled", "expired")


class Metrics:
    """The figures of one worker."""

    def __init__(self, worker: SpeechWorker) -> None:
        self._worker = worker
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """Yield the current figures."""
        counts = self._worker.counts
        yield GaugeMetricFamily("dia_requests", "Requests that wait or run.", value=self._worker.load())
        requests = CounterMetricFamily(
            "dia_requests_ended", "Requests by how they ended.", labels=["outcome"]
        )
        for name in OUTCOMES:
            requests.add_metric([name], getattr(counts, name))
        yield requests
        yield CounterMetricFamily(
            "dia_audio_seconds", "Seconds of audio that were generated.", value=counts.audio_seconds
        )

    def render(self) -> bytes:
        """Return the text format."""
        return generate_latest(self._registry)
