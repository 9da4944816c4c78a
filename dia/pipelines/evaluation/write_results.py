"""What an evaluation leaves: scores.json (the same for the same seeds), clips.parquet, report.html,
timing.json.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from datasets import Dataset

from dia.config.eval import EvalConfig
from dia.evaluation.published import load_published
from dia.evaluation.report import Learning, page
from dia.files import atomic_write, write_text
from dia.home import existing, in_home
from dia.pipelines.evaluation.run import Evaluation
from dia.training.run_folder import read_metrics


def write(config: EvalConfig, found: Evaluation) -> Path:
    """Write all, each file whole or not at all; return the path of the page."""
    folder, learning = out_folder(config), read_learning(existing(config.ckpt)) if config.ckpt else None
    folder.mkdir(parents=True, exist_ok=True)
    results = results_of(config, found, learning)
    write_text(folder / "scores.json", json.dumps(results, indent=2, allow_nan=False) + "\n")
    _write_table(folder / "clips.parquet", found.clip_rows())
    if found.timing:
        write_text(folder / "timing.json", json.dumps(found.timing, indent=2) + "\n")
    shown = [(measured.suite, measured.systems) for measured in found.suites]
    write_text(folder / "report.html", page(results, shown, learning, load_published(), found.timing))
    return folder / "report.html"


def results_of(config: EvalConfig, found: Evaluation, learning: Learning | None) -> dict[str, Any]:
    """Return everything that was measured as plain JSON; nothing in it depends on when, or how fast, it
    was.
    """
    dia, labelled = found.opened.dia, found.labelled
    about = {
        "codec": {"name": dia.codec.name, "fingerprint": dia.codec.fingerprint},
        "sampling": asdict(dia.default_sampling),
    } if dia else {}  # fmt: skip
    tags = {
        tag: vars(calibration) | {"measurable": calibration.measurable}
        for tag, calibration in labelled.calibration.items()
    }
    return {
        "checkpoint": config.ckpt, "quantization": config.quantization, "recordings": list(config.systems), **about,
        "suites": {measured.suite.name: measured.plain() for measured in found.suites},
        "suites_not_measured": {name: f"not measured: {reason}" for name, reason in found.skipped.items()},
        "detector": {"clips": labelled.clips, "missing": labelled.missing, "tags": tags, "on_people": found.on_people},
        "provenance": found.origins, "problems": found.problems,
        "training": {"loss": learning.training[-1][1], "marginal_loss": learning.marginal} if learning else None,
    }  # fmt: skip


def read_learning(run_folder: Path) -> Learning | None:
    """Return the curve of a run folder, None for a checkpoint that is no run."""
    marginal, rows = run_folder / "marginal.json", read_metrics(run_folder)
    if not (marginal.is_file() and rows):
        return None
    curves = [
        [(int(row["step"]), float(row[key])) for row in rows if row.get(key)]
        for key in ("train/loss", "validation/loss")
    ]
    loss = json.loads(marginal.read_text(encoding="utf-8"))["loss"]
    return Learning(curves[0], curves[1], loss) if curves[0] else None


def out_folder(config: EvalConfig) -> Path:
    """Return where the report goes: beside the run or, for a checkpoint that is none and for recordings,
    under `outputs`.
    """
    if config.out:
        return Path(config.out)
    folder = existing(config.ckpt) if config.ckpt else Path("recorded")
    return (
        folder if config.ckpt and folder.is_dir() else in_home("outputs") / folder.name
    ) / f"eval-{Path(config.suite).stem}"


def _write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows of many keys as Parquet; a key that a row lacks is null. Numbers are floats, as a column has
    one type.
    """
    kinds: dict[str, type] = {}
    for row in rows:
        for name, value in row.items():
            kinds[name] = str if isinstance(value, str) else kinds.get(name, float)
    made = {name: [_as(kind, row.get(name)) for row in rows] for name, kind in kinds.items()}
    with atomic_write(path) as temporary:
        Dataset.from_dict(made).to_parquet(str(temporary))


def _as(kind: type, value: Any) -> Any:
    return None if value is None else str(value) if kind is str else float(value)
