"""Score a labelled data set of Asterisk's prompts and Hedgewars' voices, see README.md in this folder."""

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
    prompts = [
        path.stem
        for path in sorted((folder / "sounds/asterisk").glob("*.wav"))
        if transcript_words(published.get(path.stem, ""))
    ]
    reports = [json.loads(path.read_text()) for path in prepared.glob("reports/*/*.json")]
    dropped = {item["id"].rsplit("-", 1)[0] for report in reports for item in report["dropped"]}
    complete = [name for name in prompts if f"asterisk-{name}" in text and f"asterisk-{name}" not in dropped]
    counted = jiwer.process_words(
        [" ".join(transcript_words(published[name])) for name in complete],
        [" ".join(transcript_words(text[f"asterisk-{name}"])) for name in complete],
    )
    exact = sum(
        transcript_words(published[name]) == transcript_words(text[f"asterisk-{name}"]) for name in complete
    )
    words = sum(len(transcript_words(published[name])) for name in complete)
    total = sum(len(transcript_words(published[name])) for name in prompts)
    print(
        f"prompts with a published transcript: {len(prompts)} ({total} words); "
        f"complete in the data set: {len(complete)} ({words} words)"
    )
    print(f"WER of the complete prompts: {100 * counted.wer:.1f} %; without errors: {exact}")
    voices = sorted((folder / "sounds").rglob("*.ogg")) + sorted((folder / "sounds").rglob("*.wav"))
    laughing = {
        row["id"].rsplit("-", 1)[0]
        for row in rows
        if any(sound["tag"] == "laughs" for sound in row["nonverbals"])
    }
    detected = {
        path: str(path.relative_to(folder / "sounds").with_suffix("")).replace("/", "-") in laughing
        for path in voices
    }
    laughs = [path for path in voices if path.stem == "Laugh"]
    others = [path for path in voices if path.stem != "Laugh"]
    missed = [path.parent.name for path in laughs if not detected[path]]
    print(f"detected laughs: {len(laughs) - len(missed)} of {len(laughs)}; missed: {missed}")
    false = [f"{path.parent.name}/{path.stem}" for path in others if detected[path]]
    print(f"false alarms: {len(false)} of {len(others)} other files: {false}")
    for event, count in read_card(prepared)["figures"]["counts"].items():
        print(f"  {count} {event}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
