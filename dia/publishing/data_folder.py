"""A prepared data set as Parquet files that the Hub's viewer plays and `datasets.load_dataset` opens."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datasets import Audio, Dataset, DatasetDict, Features
from huggingface_hub import DatasetCardData

from dia.checkpoint.save import CARD, write_folder
from dia.config.publishing import PushDataConfig
from dia.data.prepared import open_prepared
from dia.errors import UserError
from dia.files import make_folder, write_text
from dia.publishing.run_facts import DataFacts, data_facts

DATA = "data"
MIXED = "other"  # the Hub's identifier for several licences
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
LARGEST = "n>1M"
COLUMNS = {
    "id": "name of the clip",
    "source": "corpus",
    "split": "train, validation or test",
    "licence": "licence of the recording",
    "commercial_ok": "whether it allows commercial use",
    "script": "text with `[S1]`/`[S2]` turns and tags such as `(laughs)`",
    "turns": "speaker, voice, text, times and emotions of each turn; emotions have origin and confidence",
    "nonverbals": "tag, turn, place in the text, times, origin and confidence of each nonverbal sound",
    "codes": "tokens of the codec, (frames, channels)",
    "frames": "number of frames of codes",
    "seconds": "length of the clip",
    "codec": "codec of the codes",
    "quality": "peak, level, signal-to-noise ratio, predicted quality; null where it was not measured",
    "audio_sha256": "SHA-256 of the FLAC file",
    "audio": "the clip",
    "prompt_id": "script of a pair of takes",
    "voice_script": "transcript of the voice prompt, empty without one",
    "voice_codes": "tokens of the voice prompt, (frames, channels)",
    "rejected_codes": "tokens of the rejected take; `codes` are those of the preferred one",
    "rejected_ended": "whether the rejected take ended by itself",
    "margin": "by how much the take is preferred, in units of its origin",
    "chosen_scores": "scores of the preferred take, JSON",
    "rejected_scores": "scores of the rejected take, JSON",
    "origin": "what preferred the take: judges with their weights, or listeners",
    "rejected_audio": "the rejected take",
}


def write_data_folder(config: PushDataConfig, source: Path, folder: Path) -> None:
    """Write a prepared data set into ``folder``, atomically.

    Raises:
        UserError: When ``source`` is no prepared data set or is damaged.
    """
    splits = open_prepared(source)
    facts = data_facts(source, folder.name)
    published = DatasetDict({name: _playable(rows) for name, rows in splits.items() if len(rows)})
    if not published:
        raise UserError(f"{source} has no clip")

    def write(temporary: Path) -> None:
        make_folder(temporary / DATA)
        for name, rows in published.items():
            _write_parquet(rows, temporary / DATA, str(name), config.shard_megabytes)
        write_text(temporary / CARD, data_card(config, facts, published))

    write_folder(folder, write)


def _playable(rows: Dataset) -> Dataset:
    """Return rows whose audio is decoded when it is read; without the column where no audio is stored."""
    columns = [name for name in ("audio", "rejected_audio") if name in rows.features]
    if rows[0]["audio"]["bytes"] is None:
        return rows.remove_columns(columns)
    return rows.cast(Features({**rows.features, **{name: Audio() for name in columns}}))


def _write_parquet(rows: Dataset, folder: Path, split: str, megabytes: int) -> None:
    count = max(1, -(-rows.data.nbytes // (megabytes * 1_000_000)))
    for number in range(count):
        part = rows.shard(count, number, contiguous=True)
        part.to_parquet(str(folder / f"{split}-{number:05d}-of-{count:05d}.parquet"))


def data_card(config: PushDataConfig, facts: DataFacts, splits: DatasetDict) -> str:
    """Return the card of a data set as Markdown with the header that the Hub reads."""
    clips = sum(len(rows) for rows in splits.values())
    licence = config.license or (next(iter(facts.licences)).lower() if len(facts.licences) == 1 else MIXED)
    name = config.repo or facts.name
    header = DatasetCardData(
        license=licence,
        language=["en"],
        pretty_name=name.rpartition("/")[2],
        task_categories=["text-to-speech"],
        size_categories=[next((label for limit, label in SIZES if clips < limit), LARGEST)],
        tags=["audio", "dialogue", "dia"],
        configs=[
            {
                "config_name": "default",
                "data_files": [{"split": split, "path": f"{DATA}/{split}-*"} for split in splits],
            }
        ],
    )
    features = next(iter(splits.values())).features
    return "\n".join(
        [
            f"---\n{header.to_yaml()}\n---\n\n# {name}\n",
            "Dialogue clips with turns, nonverbal tags, emotions and codec tokens.\n",
            _table(["split", "clips", "hours"], _splits(splits, facts.statistics)),
            "```python\nfrom datasets import load_dataset\n\n"
            f'rows = load_dataset("{name}", split="{next(iter(splits))}")\n```\n',
            "## Columns\n",
            _table(["column", "what it holds"], ([f"`{key}`", COLUMNS[key]] for key in features)),
            "## Licences\n",
            _table(["licence", "clips"], ([name, str(number)] for name, number in facts.licences.items())),
            *_labels(facts.statistics),
        ]
    )


def _splits(splits: DatasetDict, statistics: Any) -> Iterator[list[str]]:
    hours = statistics.get("hours", {})
    for name, rows in splits.items():
        yield [str(name), f"{len(rows):,}", str(hours.get(name, "-"))]


def _labels(statistics: Any) -> Iterator[str]:
    """Yield a table of each kind of label that the data set has."""
    titles = {"tags": "Nonverbal sounds", "emotions": "Emotions", "labels": "Labels by origin"}
    for key, title in titles.items():
        if counts := statistics.get(key):
            yield f"## {title}\n"
            yield _table(["label", "number"], ([str(name), f"{number:,}"] for name, number in counts.items()))


def _table(titles: list[str], rows: Any) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
