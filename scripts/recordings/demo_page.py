"""Write the tables (JSONL) that `python -m dia.eval record system=folder` reads, from a demo page.

    python scripts/recordings/demo_page.py PAGE.html heading="Zero-Shot TTS" text=0 prompt=1
    python scripts/recordings/demo_page.py PAGE.html heading="(English)" prompt=0 prompt_2=1 text=2
    python scripts/recordings/demo_page.py PAGE.html heading="Single Speaker" transposed=true

The first table after ``heading`` is read. Its rows are prompts and its columns are texts (``text``), voice
prompts (``prompt``, ``prompt_2``) and one column of audio for each system, which its header names; the rows
of a transposed table are systems. One table for each system (``SYSTEM.jsonl``) and the suite
(``prompts.jsonl``) are written beside the page, with ``prefix`` before their names and ``language`` in every
row. Audio is neither read nor changed, so a missing file stays in the table, and `record` reports it.
"""

import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

Cell = tuple[str, str]  # text and audio file


class Tables(HTMLParser):
    """Collect the tables that follow a heading, as rows of cells."""

    def __init__(self, heading: str) -> None:
        super().__init__()
        self.heading = heading
        self.seen = ""
        self.rows: list[list[list[str]]] = []
        self.done = self.inside = self.cell = self.title = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if re.fullmatch("h[1-6]", tag):
            self.seen, self.title = "", True
        if tag == "table" and self.heading in self.seen and not self.done:
            self.inside = True
        if not self.inside:
            return
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th") and self.rows:
            self.rows[-1].append(["", ""])
            self.cell = True
        elif tag in ("source", "audio") and self.cell and (source := dict(attributes).get("src")):
            self.rows[-1][-1][1] = source

    def handle_endtag(self, tag: str) -> None:
        if re.fullmatch("h[1-6]", tag):
            self.title = False
        if tag in ("td", "th"):
            self.cell = False
        elif tag == "table" and self.inside:
            self.inside, self.done = False, True

    def handle_data(self, data: str) -> None:
        if self.title and not self.inside:
            self.seen += data
        elif self.cell and not self.rows[-1][-1][1]:
            self.rows[-1][-1][0] += data


def read_table(page: Path, heading: str, transposed: bool) -> list[list[Cell]]:
    """Return the rows of the table; the first one is the header."""
    tables = Tables(heading)
    tables.feed(page.read_text(encoding="utf-8"))
    rows = [[(" ".join(text.split()), file) for text, file in row] for row in tables.rows if row]
    if not rows:
        raise SystemExit(f"{page} has no table after {heading!r}")
    return [list(column) for column in zip(*rows, strict=True)] if transposed else rows


def write_tables(page: Path, options: dict[str, str]) -> None:
    """Write one table a system, and the prompts."""
    header, *rows = read_table(page, options["heading"], options.get("transposed") == "true")
    text = int(options.get("text", 0))
    voices = {key: int(options[name]) for key, name in VOICES.items() if name in options}
    systems = [place for place in range(len(header)) if place not in {text, *voices.values()}]
    tables: dict[str, list[dict[str, str]]] = {header[place][0]: [] for place in systems}
    prompts = []
    for row in rows:
        prompt = {"id": Path(row[systems[0]][1]).stem, "script": row[text][0]}
        prompt |= {key: row[place][1] for key, place in voices.items()}
        prompt |= {"language": options["language"]} if "language" in options else {}
        prompts.append(prompt)
        for place in systems:
            tables[header[place][0]].append({**prompt, "file": row[place][1]})
    prefix = options.get("prefix", "")
    for name, table in {"prompts": prompts, **tables}.items():
        stem = re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")
        path = page.parent / f"{prefix}{stem}.jsonl"
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in table]
        path.write_text("".join(lines), encoding="utf-8")
        print(f"{path}: {len(table)} prompts")


VOICES = {"audio_prompt": "prompt", "audio_prompt_2": "prompt_2"}

if __name__ == "__main__":
    write_tables(Path(sys.argv[1]), dict(item.split("=", 1) for item in sys.argv[2:]))
