"""`python -m dia.bench serve` against a tiny server."""

import asyncio

import psutil

from dia.benchmark.serving import as_dict, measure, report_of
from dia.config.bench import BenchServeConfig


def test_a_server_is_measured(server):
    config = BenchServeConfig(streams=3, rounds=2, requests=120)
    figures = asyncio.run(measure(server[0], psutil.Process(), config))
    assert figures.identical and figures.gain > 0 and 0 < figures.slowest_share <= 1
    assert 0 < figures.first_byte < 30 and figures.memory_end > 0
    assert set(figures.statuses) == {"200", "400"} and sum(figures.statuses.values()) == 120
    assert 3 <= figures.statuses["400"] <= 30
    report = report_of(figures, config)
    assert "120 mixed requests" in report and "those of requests alone" in report
    assert as_dict(figures)["gain"] == figures.gain


def test_impossible_values_are_reported():
    assert len(BenchServeConfig(streams=0, rounds=0, requests=-1).problems()) == 3
