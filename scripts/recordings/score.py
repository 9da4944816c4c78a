"""Scores a labelled data set of Asterisk's prompts and Hedgewars' voices: see README.md beside this file."""

import json
import sys
from pathlib import Path

import jiwer
from datasets import concatenate_datasets, load_from_disk

from dia.data.prepared import read_card
from dia.judges.words import transcript_words


def main(folder: Path, transcripts: Path) -> None:
    """Print the word error rate of the prompts, and recall and false alarms of laughs."""
    prepared = sorted((folder / "prepared").glob("recordings-*"))[-1]
    rows = concatenate_datasets(list(load_from_disk(str(prepared)).values())).select_columns(
        ["id", "turns", "nonverbals"]
    )
    text = {}
    for row in rows:
        name = row["id"].rsplit("-", 1)[0]
        text[name] = " ".join(
            [*([text[name]] if name in text else []), *(turn["text"] for turn in row["turns"])]
        )
    published = {}
    for line in transcripts.read_text(encoding="utf-8", errors="replace").splitlines():
        name, colon, words = line.partition(":")
        if colon and not line.startswith(";"):
            published[name.strip().replace("/", "_")] = words.strip()
    sounds = [
        path.stem
        for path in sorted((folder / "sounds/asterisk").glob("*.wav"))
        if transcript_words(published.get(path.stem, ""))
    ]
    reports = [json.loads(path.read_text()) for path in prepared.glob("reports/*/*.json")]
    dropped = {item["id"].rsplit("-", 1)[0] for report in reports for item in report["dropped"]}
    kept = [name for name in sounds if f"asterisk-{name}" in text and f"asterisk-{name}" not in dropped]
    counted = jiwer.process_words(
        [" ".join(transcript_words(published[name])) for name in kept],
        [" ".join(transcript_words(text[f"asterisk-{name}"])) for name in kept],
    )
    exact = sum(
        transcript_words(published[name]) == transcript_words(text[f"asterisk-{name}"]) for name in kept
    )
    words = sum(len(transcript_words(published[name])) for name in kept)
    total = sum(len(transcript_words(published[name])) for name in sounds)
    print(
        f"prompts with a published transcript: {len(sounds)} ({total} words); whole in the data set {len(kept)} ({words} words)"
    )
    print(f"WER of what is in the data set: {100 * counted.wer:.1f} %; without an error: {exact}")
    voices = sorted((folder / "sounds").rglob("*.ogg")) + sorted((folder / "sounds").rglob("*.wav"))
    laughing = {
        row["id"].rsplit("-", 1)[0]
        for row in rows
        if any(sound["tag"] == "laughs" for sound in row["nonverbals"])
    }
    found = {
        path: str(path.relative_to(folder / "sounds").with_suffix("")).replace("/", "-") in laughing
        for path in voices
    }
    laughs = [path for path in voices if path.stem == "Laugh"]
    others = [path for path in voices if path.stem != "Laugh"]
    missed = [path.parent.name for path in laughs if not found[path]]
    print(f"laughs found: {len(laughs) - len(missed)} of {len(laughs)}: missed {missed}")
    false = [f"{path.parent.name}/{path.stem}" for path in others if found[path]]
    print(f"other sounds taken for a laugh: {len(false)} of {len(others)}: {false}")
    for what, count in read_card(prepared)["figures"]["counts"].items():
        print(f"  {count} {what}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
