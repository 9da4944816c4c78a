"""The report: scores.json, and report.html that needs nothing beside it (sound and pictures are inside)."""

import base64
import html
import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from dia.audio.files import flac_bytes
from dia.evaluation.scoring import ClipScores
from dia.html import document, html_table, player
from dia.judges.recording import Recording

COLUMNS = (
    ("wer", "WER %", 100.0), ("similarity", "similarity", 1.0), ("similarity_margin", "right minus wrong voice", 1.0),
    ("mos", "MOS", 1.0), ("duration_ratio", "duration ratio", 1.0),
)  # fmt: skip


@dataclass(frozen=True)
class Learning:
    """What training did: (step, loss) points, and the loss of the marginal token distribution, in nats."""

    training: list[tuple[int, float]]
    validation: list[tuple[int, float]]
    marginal: float


def table(results: dict[str, Any]) -> Table:
    """Return the scores as a table for the terminal."""
    drawn = Table(title=f"suite {results['suite']['name']}")
    for name in ("system", *(title for _, title, _ in COLUMNS), "missed EOS %", "nonverbals"):
        drawn.add_column(name)
    for system, row in results["systems"].items():
        drawn.add_row(system, *_cells(row))
    return drawn


def write_report(folder: Path, results: dict[str, Any], clips: list[ClipScores], learning: Learning | None) -> Path:
    """Write both files, each whole or not at all; return the path of the page. Raises ``OSError`` as the system does."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "scores.json", json.dumps(results, indent=2, allow_nan=False) + "\n")
    write_text(folder / "report.html", page(results, clips, learning))
    return folder / "report.html"


def page(results: dict[str, Any], clips: list[ClipScores], learning: Learning | None) -> str:
    """Return the page as HTML; everything that comes from outside is escaped."""
    shown = list(dict.fromkeys(clip.recording.prompt_id for clip in clips))[: results["suite"]["shown"]]
    title = f"Evaluation of {results['checkpoint']}"
    parts = [
        f"<p>Suite <code>{html.escape(results['suite']['name'])}</code>, "
        f"{results['prompts']} prompts, {results['suite']['seeds']} seed(s). Brackets: 95 % intervals over prompts.</p>",
        _score_table(results),
        _learning_part(learning) if learning else "",
        "<h2>Distributions</h2>" + _picture(_distributions(clips), "per-clip scores"),
        _nonverbal_part(results),
        "<h2>Listen</h2>" + "".join(_clip_part([clip for clip in clips if clip.recording.prompt_id == name]) for name in shown),
        "<h2>Where the scores come from</h2>" + _provenance(results["provenance"]),
    ]
    return document(title, "".join(parts))


def _cells(row: dict[str, Any]) -> list[str]:
    """Texts of one system's row: the columns, missed EOS, nonverbals in short."""
    cells = [_estimate(row[key], scale) for key, _, scale in COLUMNS]
    return [*cells, f"{100 * row['missed_eos']:.0f}", _nonverbals_in_short(row["nonverbals"])]


def _estimate(found: dict[str, Any] | str, scale: float) -> str:
    if isinstance(found, str):
        return found
    value, low, high = (found[key] * scale for key in ("value", "low", "high"))
    digits = 1 if scale == 100 else 2
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def _nonverbals_in_short(found: dict[str, Any] | str) -> str:
    if isinstance(found, str):
        return found
    effects = [
        f"{tag} {row['net_effect']['value']:+.2f}" for tag, row in found.items() if isinstance(row.get("net_effect"), dict)
    ]
    silent = sum(row["result"] != "measured" for row in found.values())
    return "; ".join([*effects, *([f"{silent} not measurable"] if silent else [])]) or "no tag asked"


def _score_table(results: dict[str, Any]) -> str:
    titles = ["system", *(title for _, title, _ in COLUMNS), "missed EOS %", "net tag effect"]
    rows = [[system, *_cells(row)] for system, row in results["systems"].items()]
    return "<h2>Scores</h2>" + html_table(titles, rows)


def _nonverbal_part(results: dict[str, Any]) -> str:
    """Recall where asked and insertions where not, by tag and system, beside the detector's own calibration."""
    rows = []
    for system, row in results["systems"].items():
        found = row["nonverbals"]
        if isinstance(found, str):
            return f"<h2>Nonverbal tags</h2><p>{html.escape(found)}</p>"
        for tag, one in found.items():
            figures = [_estimate(one.get(key, "-"), 1.0) for key in ("recall", "false_insertion", "net_effect")]
            rows.append([tag, system, one["result"], *figures, _detector(one.get("calibration"))])
    titles = [
        "tag",
        "system",
        "result",
        "recall",
        "false insertions",
        "net effect",
        "detector's sensitivity / specificity (held out)",
    ]
    return "<h2>Nonverbal tags</h2>" + html_table(titles, rows)


def _detector(calibration: dict[str, Any] | None) -> str:
    if calibration is None:
        return "-"
    return f"{calibration['sensitivity']:.2f} / {calibration['specificity']:.2f} ({calibration['with_tag']} clips)"


def _learning_part(learning: Learning) -> str:
    last = learning.training[-1][1] if learning.training else float("nan")
    text = f"Training loss ends at {last:.3f} nats; guessing by token frequency alone costs {learning.marginal:.3f}."
    return f"<h2>Training</h2><p>{text}</p>" + _picture(_curve(learning), "training curve")


def _clip_part(clips: list[ClipScores]) -> str:
    script = html.escape(clips[0].recording.script.render())
    return (
        f'<div class="clip"><p><strong>{script}</strong></p><div class="systems">'
        + "".join(map(_system_part, clips))
        + "</div></div>"
    )


def _system_part(clip: ClipScores) -> str:
    recording = clip.recording
    mos = "-" if clip.mos is None else f"{clip.mos:.2f}"
    return (
        f"<div><p>{html.escape(recording.system)} <small>seed {recording.seed}, {recording.seconds:.1f} s</small></p>"
        f"{_player(recording)}{_picture(_spectrogram(recording), 'spectrogram')}"
        f"<p><small>WER {100 * clip.words.rate:.0f} %, MOS {mos}</small><br>{html.escape(clip.transcript) or '(no words heard)'}"
        "</p></div>"
    )


def _player(recording: Recording) -> str:
    if not len(recording.wave):
        return "<p>no sound</p>"
    return player(flac_bytes(recording.wave, recording.sample_rate))


def _provenance(described: dict[str, Any]) -> str:
    rows = [
        [metric, found] if isinstance(found, str) else [metric, ", ".join(f"{key} {value}" for key, value in found.items())]
        for metric, found in described.items()
    ]
    return html_table(["metric", "model"], rows)


def _picture(figure: Any, name: str) -> str:
    """Return a matplotlib figure as an image inside the page."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=80, bbox_inches="tight")
    return f'<img alt="{html.escape(name)}" src="data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}">'


def _spectrogram(recording: Recording) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 1.6))
    axes = figure.add_subplot()
    wave = recording.wave if len(recording.wave) > 512 else np.zeros(512, dtype=np.float32)
    noise = 1e-6 * np.random.default_rng(0).standard_normal(len(wave))  # the logarithm of digital silence is not drawable
    axes.specgram(wave + noise, NFFT=512, noverlap=384, Fs=recording.sample_rate, vmin=-130, vmax=-30)
    axes.set_axis_off()
    return figure


def _curve(learning: Learning) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3))
    axes = figure.add_subplot(xlabel="step", ylabel="loss (nats)")
    for name, points in (("training", learning.training), ("validation", learning.validation)):
        axes.plot(
            [step for step, _ in points],
            [loss for _, loss in points],
            label=name,
            marker="." if len(points) < 20 else "",
        )
    axes.axhline(learning.marginal, linestyle="--", color="grey", label="marginal distribution")
    axes.legend()
    return figure


def _distributions(clips: list[ClipScores]) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 2.6))
    systems = list(dict.fromkeys(clip.recording.system for clip in clips))
    rates = [[min(clip.words.rate, 2.0) for clip in clips if clip.recording.system == system] for system in systems]
    marks = [[clip.mos for clip in clips if clip.recording.system == system and clip.mos is not None] for system in systems]
    for place, (name, values) in enumerate((("WER per clip (cut at 2)", rates), ("MOS per clip", marks)), start=1):
        axes = figure.add_subplot(1, 2, place, title=name)
        axes.boxplot(values, orientation="horizontal", tick_labels=systems)
    figure.tight_layout()
    return figure


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all. Raises ``OSError`` as the system does."""
    made = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        with made.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(made, path)
    finally:
        made.unlink(missing_ok=True)
