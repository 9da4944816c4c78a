"""Write the results of an evaluation: scores.json, clips.parquet, report.html, timing.json.

All are rendered from one :class:`EvaluationResults`; scores.json is the same for the same seeds.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dia.config.eval import EvalConfig
from dia.evaluation.published import load_published
from dia.evaluation.report import render_report
from dia.evaluation.results import SCORES, EvaluationResults
from dia.files import atomic_write, make_folder, write_text
from dia.home import existing, in_home


def write_results(folder: Path, results: EvaluationResults) -> Path:
    """Write all files, each atomically; return the path of the report."""
    make_folder(folder)
    write_text(folder / SCORES, json.dumps(results.to_json(), indent=2, allow_nan=False) + "\n")
    _write_parquet(folder / "clips.parquet", results.clip_rows())
    if results.speed:
        write_text(folder / "timing.json", json.dumps(asdict(results.speed), indent=2) + "\n")
    report = folder / "report.html"
    write_text(report, render_report(results, load_published()))
    return report


def results_folder(config: EvalConfig) -> Path:
    """Return the folder of the report: in the run folder, else below `outputs`."""
    if config.out:
        return Path(config.out)
    checkpoint = existing(config.ckpt) if config.ckpt else Path("recorded")
    is_run = bool(config.ckpt) and checkpoint.is_dir()
    parent = checkpoint if is_run else in_home("outputs") / checkpoint.name
    return parent / f"eval-{Path(config.suite).stem}"


def _write_parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows of different keys as Parquet: missing keys are null, all numbers are floats."""
    types: dict[str, type] = {}
    for row in rows:
        for name, value in row.items():
            types[name] = str if isinstance(value, str) else types.get(name, float)
    columns = {name: [_cast(row.get(name), kind) for row in rows] for name, kind in types.items()}
    with atomic_write(path) as part:
        pq.write_table(pa.table(columns), part)


def _cast(value: Any, kind: type) -> Any:
    return None if value is None else kind(value)
