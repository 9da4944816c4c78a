"""The emotion labels of one row of a corpus, on the scales of this project."""

from dataclasses import replace
from typing import Any

from dia.data.clip import Emotion
from dia.data.source import Tally
from dia.data.sources.cells import cell_number, cell_text
from dia.data.sources.declaration import Declaration, Scale
from dia.data.sources.marks import tag_of
from dia.errors import UserError
from dia.resources import declaration

TOLERANCE = 1e-6  # of values at the ends of a scale


def row_emotions(
    row: dict[str, Any], declared: Declaration, unknown: str, tally: Tally
) -> tuple[Emotion, ...]:
    """Return the emotion label of the clip in the corpus, if any.

    ``unknown`` is the policy for labels without a mapping. Raises :class:`UserError` for a value that is no
    number or lies outside of its scale, and :class:`dia.data.sources.marks.DropClip` by the policy.
    """
    rule = declared.emotion
    scales = {
        "intensity": rule.intensity,
        "valence": rule.valence,
        "arousal": rule.arousal,
        "dominance": rule.dominance,
    }
    numbers = {name: _number(row, scale, name, declared) for name, scale in scales.items()}
    label = _label(cell_text(row[rule.column]), declared, unknown, tally) if rule.column else None
    if label is None and not any(value is not None for value in numbers.values()):
        return ()
    known = declaration("data/emotions.yaml").get(label, {}) if label else {}
    stated = {key: value for key, value in numbers.items() if value is not None}
    return (Emotion(rule.origin, label, **(known | stated)),)


def _label(label: str, declared: Declaration, unknown: str, tally: Tally) -> str | None:
    """The emotion that a label means; letter case does not matter."""
    labels = declared.emotion.labels
    if label not in labels:
        label = next((known for known in labels if known.casefold() == label.casefold()), label)
    if label in labels:
        tally.counts[f"emotions: {label} -> {labels[label] or 'nothing'}"] += 1
        return labels[label]
    if not label:
        return None
    empty = replace(declared.marks, tags={}, drop={}, drop_clip={})
    return tag_of(label, empty, unknown, tally, "emotions")


def _number(row: dict[str, Any], scale: Scale | None, name: str, declared: Declaration) -> float | None:
    """A number on the scale of this project; None if the row has none."""
    if scale is None:
        return None
    if scale.labels is not None:
        return scale.labels.get(cell_text(row.get(scale.column)))
    value = cell_number(row.get(scale.column), scale.column)
    if value is None:
        return None
    of_a_table = declared.files is not None  # corpora of the Hub have a few values beyond their scale
    if of_a_table and not scale.low - TOLERANCE <= value <= scale.high + TOLERANCE:
        raise UserError(
            f"{scale.column}={value:g} is outside of {scale.low:g} to {scale.high:g}; rescale the column, or "
            "declare its scale in a YAML of your own (data.corpus=my.yaml)"
        )
    share = (value - scale.low) / (scale.high - scale.low)
    return share if name == "intensity" else 2 * share - 1
