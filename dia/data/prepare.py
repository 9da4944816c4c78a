"""Preparation: plan the clips, speak them, label and tokenize them, and store the result once.

The same request again finds its folder and does nothing.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.progress import track

from dia.audio.codec import Codec
from dia.data.demo_corpus import render_clips
from dia.data.demo_scripts import plan_clips
from dia.data.nonverbal_sounds import MAKERS
from dia.data.prepared import folder_for, write_prepared
from dia.data.rows import finish_row

RECIPE_VERSION = 1  # raise when the corpus sounds otherwise for the same request


@dataclass
class DataConfig:
    """What is prepared. Rates are probabilities per turn."""

    name: str = "demo"
    root: str = "prepared"
    """Folder that prepared data sets lie in, relative to the working directory."""
    clips: dict[str, int] = field(default_factory=lambda: {"train": 300, "validation": 24, "test": 24})
    """Dialogues per split."""
    tags: list[str] = field(default_factory=lambda: ["laughs", "coughs", "sighs", "humming"])
    """Nonverbal tags that occur."""
    tag_rate: float = 0.4
    style_rate: float = 0.3
    sample_rate: int = 16_000
    """Hertz of the stored audio."""
    tokens: bool = True
    """Whether codes are made (a codec's own training needs none)."""
    seed: int = 0
    workers: int = 2
    """Processes that speak; 0 speaks in this one."""

    def problems(self) -> list[str]:
        """Return what is out of range, one sentence each with its remedy."""
        found = [
            f"data.tags has ({tag}), which has no sound; there are: {', '.join(MAKERS)}" for tag in self.tags if tag not in MAKERS
        ]
        for name, rate in (("tag_rate", self.tag_rate), ("style_rate", self.style_rate)):
            if not 0 <= rate <= 1:
                found.append(f"data.{name}={rate} is a probability; choose 0 to 1")
        found += [f"data.clips.{split}={count} must be 1 or more" for split, count in self.clips.items() if count < 1]
        if missing := {"train", "validation", "test"} - self.clips.keys():
            found.append(f"data.clips lacks {sorted(missing)}; give each split a number of clips")
        return found


def prepare(config: DataConfig, codec: Codec | None) -> Path:
    """Return the folder of the prepared data set, made now unless it is there. ``codec`` None makes no codes."""
    request = _request(config, codec)
    folder = folder_for(Path(config.root), config.name, request)
    if folder.exists():
        return folder
    clips = plan_clips(config.clips, config.tags, config.tag_rate, config.style_rate, config.seed)
    rendered = render_clips(clips, config.seed, config.workers)
    rows = [finish_row(row, codec, config.sample_rate) for row in track(rendered, "speaking the corpus", total=len(clips))]
    write_prepared(folder, rows, {"request": request, "figures": figures(rows)})
    return folder


def figures(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return clips and hours per split, and how often each tag and emotion occurs."""
    tags = [nonverbal["tag"] for row in rows for nonverbal in row["nonverbals"]]
    emotions = [turn["emotion"]["label"] for row in rows for turn in row["turns"] if turn["emotion"]]
    splits = sorted({row["split"] for row in rows})
    return {
        "clips": {split: sum(row["split"] == split for row in rows) for split in splits},
        "hours": {split: round(sum(row["seconds"] for row in rows if row["split"] == split) / 3600, 3) for split in splits},
        "tags": {tag: tags.count(tag) for tag in sorted(set(tags))},
        "emotions": {label: emotions.count(label) for label in sorted(set(emotions))},
    }


def _request(config: DataConfig, codec: Codec | None) -> dict[str, Any]:
    """Everything the result depends on; where it lies and how many processes make it is left out."""
    asked = {key: value for key, value in asdict(config).items() if key not in ("root", "workers")}
    return asked | {"recipe_version": RECIPE_VERSION, "codec": codec.fingerprint if codec else "none"}
