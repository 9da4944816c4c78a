"""Pictures of the report, drawn by matplotlib and put into the page."""

import base64
import html
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dia.evaluation.scoring import ScoredClip
from dia.judges.recording import Recording

MOST = 2.0  # WER at which the distribution is cut


def picture(figure: Any, name: str) -> str:
    """Return a figure as an image inside the page."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=80, bbox_inches="tight")
    return f'<img alt="{html.escape(name)}" src="data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}">'


def spectrogram(recording: Recording) -> Any:
    """Return the spectrogram of a recording."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 1.6))
    axes = figure.add_subplot()
    waveform = recording.waveform if len(recording.waveform) > 512 else np.zeros(512, dtype=np.float32)
    noise = 1e-6 * np.random.default_rng(0).standard_normal(
        len(waveform)
    )  # the logarithm of digital silence is not drawable
    axes.specgram(waveform + noise, NFFT=512, noverlap=384, Fs=recording.sample_rate, vmin=-130, vmax=-30)
    axes.set_axis_off()
    return figure


def curve(
    training: Sequence[tuple[int, float]], validation: Sequence[tuple[int, float]], marginal: float
) -> Any:
    """Return the curve of a training run, (step, loss) points, above the loss of guessing by frequency."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3))
    axes = figure.add_subplot(xlabel="step", ylabel="loss (nats)")
    for name, points in (("training", training), ("validation", validation)):
        axes.plot(
            [step for step, _ in points],
            [loss for _, loss in points],
            label=name,
            marker="." if len(points) < 20 else "",
        )
    axes.axhline(marginal, linestyle="--", color="grey", label="marginal distribution")
    axes.legend()
    return figure


def distributions(systems: Mapping[str, Sequence[ScoredClip]]) -> Any:
    """Return WER and MOS clip by clip, a box for each system."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 1.2 + 0.5 * len(systems)))
    for place, (title, metric, top, bottom) in enumerate(
        ((f"WER of a clip (cut at {MOST:g})", "wer", "errors", "words"), ("MOS of a clip", "mos", "mos", "")),
        start=1,
    ):
        axes = figure.add_subplot(1, 2, place, title=title)
        values = [
            [_value(clip.values.get(metric, {}), top, bottom) for clip in clips] for clips in systems.values()
        ]
        known = [
            [min(value, MOST) if bottom else value for value in found if value is not None]
            for found in values
        ]
        axes.boxplot(known, orientation="horizontal", tick_labels=list(systems))
    figure.tight_layout()
    return figure


def _value(values: Mapping[str, Any], top: str, bottom: str) -> float | None:
    if values.get(top) is None or (bottom and not values.get(bottom)):
        return None
    return float(values[top]) / (float(values[bottom]) if bottom else 1.0)


def heat_map(values: Sequence[Sequence[float | None]], rows: Sequence[str], columns: Sequence[str]) -> Any:
    """Return figures from -1 to 1 as colours with their numbers; what was not measured is grey."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.5 + 1.1 * len(columns), 1.4 + 0.35 * len(rows)))
    axes = figure.add_subplot()
    grid = np.array([[np.nan if value is None else value for value in row] for row in values], dtype=float)
    axes.set_facecolor("lightgrey")
    axes.imshow(grid, vmin=-1, vmax=1, cmap="PuOr", aspect="auto")
    axes.set_xticks(range(len(columns)), columns, rotation=45, ha="right", fontsize=7)
    axes.set_yticks(range(len(rows)), rows, fontsize=8)
    for place, value in np.ndenumerate(grid):
        axes.text(
            place[1],
            place[0],
            "-" if np.isnan(value) else f"{value:.2f}",
            ha="center",
            va="center",
            fontsize=7,
        )
    return figure
