"""Plots of the report by matplotlib, as data URLs that are part of the page."""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dia.evaluation.results import LearningCurve
from dia.evaluation.scoring import ScoredClip
from dia.judges.recording import Recording

HIGHEST = 8000.0  # hertz of a spectrogram
MOST_WER = 2.0  # at which the distribution is cut
DARK = 0.6  # value of the heat map beyond which its colours are dark
LONGEST_LABEL = 40  # characters


def png_url(figure: Any, *, margins: bool = True) -> str:
    """Return a figure as a PNG in a data URL; without ``margins`` its plot fills the picture."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=80, bbox_inches="tight" if margins else None)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def spectrogram(recording: Recording) -> Any:
    """Return the spectrogram of a recording up to 8 kHz, without margins: its width is the recording."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 1.4))
    axes = figure.add_axes((0, 0, 1, 1))
    waveform = recording.waveform if len(recording.waveform) > 512 else np.zeros(512, dtype=np.float32)
    # without noise, the logarithm of digital silence cannot be drawn
    noise = 1e-6 * np.random.default_rng(0).standard_normal(len(waveform))
    axes.specgram(waveform + noise, NFFT=512, noverlap=384, Fs=recording.sample_rate, vmin=-130, vmax=-30)
    axes.set_xlim(0, len(waveform) / recording.sample_rate)
    axes.set_ylim(0, min(recording.sample_rate / 2, HIGHEST))
    axes.set_axis_off()
    return figure


def learning_curve(curve: LearningCurve) -> Any:
    """Return training and validation loss by step, with the loss of the marginal token distribution."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3))
    axes = figure.add_subplot(xlabel="step", ylabel="loss (nats)")
    for name, points in (("training", curve.training), ("validation", curve.validation)):
        steps, losses = [step for step, _ in points], [loss for _, loss in points]
        axes.plot(steps, losses, label=name, marker="." if len(points) < 20 else "")
    axes.axhline(curve.marginal, linestyle="--", color="grey", label="guessing by token frequency")
    axes.legend()
    return figure


def distributions(systems: Mapping[str, Sequence[ScoredClip]]) -> Any:
    """Return box plots of word error rate and MOS per clip, a box for each system.

    A score that no clip has is left out; None where no score is left.
    """
    from matplotlib.figure import Figure

    rates = [_known(clips, _word_error_rate) for clips in systems.values()]
    scores = [_known(clips, _mos) for clips in systems.values()]
    titled = (
        (f"word error rate of a clip (cut at {MOST_WER:g})", rates),
        ("predicted quality of a clip (MOS)", scores),
    )
    measured = [(title, values) for title, values in titled if any(values)]
    if not measured:
        return None
    figure = Figure(figsize=(1 + 4 * len(measured), 1.2 + 0.5 * len(systems)))
    for place, (title, values) in enumerate(measured, start=1):
        axes = figure.add_subplot(1, len(measured), place, title=title)
        axes.boxplot(values, orientation="horizontal", tick_labels=[*map(_label, systems)])
    figure.tight_layout()
    return figure


def _label(name: str) -> str:
    """Return a name as a label: shortened, and with dollar signs that begin no formula."""
    short = name if len(name) <= LONGEST_LABEL else name[: LONGEST_LABEL - 3] + "..."
    return short.replace("$", r"\$")


def _known(clips: Sequence[ScoredClip], value: Any) -> list[float]:
    return [known for known in map(value, clips) if known is not None]


def _word_error_rate(clip: ScoredClip) -> float | None:
    values = clip.scores["wer"].values if "wer" in clip.scores else {}
    if values.get("errors") is None or not values.get("words"):
        return None
    return min(float(values["errors"]) / float(values["words"]), MOST_WER)


def _mos(clip: ScoredClip) -> float | None:
    score = clip.scores["mos"].values.get("score") if "mos" in clip.scores else None
    return None if score is None else float(score)


def heat_map(values: Sequence[Sequence[float | None]], rows: Sequence[str], columns: Sequence[str]) -> Any:
    """Return values from -1 to 1 as colours with their numbers; values that are not measured are grey."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.5 + 1.1 * len(columns), 1.4 + 0.35 * len(rows)))
    axes = figure.add_subplot()
    grid = np.array([[np.nan if value is None else value for value in row] for row in values], dtype=float)
    axes.set_facecolor("lightgrey")
    axes.imshow(grid, vmin=-1, vmax=1, cmap="PuOr", aspect="auto")
    axes.set_xticks(range(len(columns)), [*map(_label, columns)], rotation=45, ha="right", fontsize=7)
    axes.set_yticks(range(len(rows)), [*map(_label, rows)], fontsize=8)
    for (row, column), value in np.ndenumerate(grid):
        text = "-" if np.isnan(value) else f"{value:.2f}"
        colour = "white" if abs(value) > DARK else "black"
        axes.text(column, row, text, ha="center", va="center", fontsize=7, color=colour)
    return figure
