"""Leaves out the pairs that are longer than the model takes (`data.too_long=skip`)."""

from collections import Counter
from typing import Any

from dia.config.choices import TooLong
from dia.config.data import DataConfig
from dia.dialogue.text import joined_text, text_size

Rows = dict[str, list[dict[str, Any]]]  # by split


def limits_of(config: DataConfig) -> dict[str, Any]:
    """Return what the choice of pairs depends on, for the request; empty unless long pairs are left out."""
    if config.too_long != TooLong.skip:
        return {}
    return {"too_long": {"bytes": config.max_text_bytes, "frames": config.max_frames}}


def leave_out_long(rows: Rows, config: DataConfig, counts: Counter[str]) -> Rows:
    """Return the pairs whose text and takes, with the voice prompt, the model takes; count the others.

    Of a rejected take without an end the frames that fit are used, so that it is never too long.
    """
    if config.too_long != TooLong.skip:
        return rows
    short = {split: [row for row in own if _fits(row, config)] for split, own in rows.items()}
    counts["pairs: longer than the model takes"] = sum(map(len, rows.values())) - sum(
        map(len, short.values())
    )
    return short


def _fits(row: dict[str, Any], config: DataConfig) -> bool:
    takes = [row["codes"]] + [row["rejected_codes"]] * row["rejected_ended"]
    frames = len(row["voice_codes"]) + max(map(len, takes))
    text = joined_text(row["voice_script"], row["script"]) if row["voice_script"] else row["script"]
    return (config.max_frames is None or frames <= config.max_frames) and (
        config.max_text_bytes is None or text_size(text) <= config.max_text_bytes
    )
