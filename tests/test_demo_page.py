"""Tables of recordings from demo pages: rows of prompts or of systems, tags that are not closed."""

import json

import pytest

from dia.systems.folder import read_table
from scripts.recordings.demo_page import write_tables

PAGE = """<ul><li><a href="#b">Second</a></ul><h2>First</h2><table><tr><th>Text<th>A</table>
<h3>Second <i>part</i></h3><table>
<thead><tr><th>Voice</th><th>Text</th><th>System 1 (ours)</th><th>Other</th></tr></thead>
<tr><td><audio><source src="v.wav">no sound</audio><td><span>[S1] One</span> <span>[S2] two.</span>
<td><audio controls src="a/1.wav"></audio><td><audio><source src="b/1.wav"></audio>
<tr><td><source src="w.wav"><td>Three.<td><source src="a/2.wav"><td><source src="b/2.wav">
</table><table><tr><td>no</td></tr></table>"""


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_table_after_a_heading_becomes_one_table_a_system_and_a_suite(tmp_path):
    page = tmp_path / "index.html"
    page.write_text(PAGE)
    write_tables(page, {"heading": "Second part", "text": "1", "prompt": "0", "prefix": "en-"})
    assert rows(tmp_path / "en-prompts.jsonl") == [
        {"id": "1", "script": "[S1] One [S2] two.", "audio_prompt": "v.wav"},
        {"id": "2", "script": "Three.", "audio_prompt": "w.wav"},
    ]
    assert [row["file"] for row in rows(tmp_path / "en-system-1-ours.jsonl")] == ["a/1.wav", "a/2.wav"]
    table = read_table(tmp_path / "en-other.jsonl")
    assert [(file, prompt.script) for file, prompt in table.values()] == [
        ("b/1.wav", "[S1] One [S2] two."),
        ("b/2.wav", "[S1] Three."),
    ]


def test_the_rows_of_a_transposed_table_are_systems(tmp_path):
    page = tmp_path / "page.html"
    page.write_text(
        "<h2>All</h2><table><tr><th>Text<td>One.<td>Two."
        "<tr><td>A<td><audio src=1.wav></audio><td><audio src=2.wav></audio></table>"
    )
    write_tables(page, {"heading": "All", "transposed": "true", "language": "de"})
    assert rows(tmp_path / "a.jsonl") == [
        {"id": "1", "script": "One.", "language": "de", "file": "1.wav"},
        {"id": "2", "script": "Two.", "language": "de", "file": "2.wav"},
    ]


def test_a_heading_that_the_page_lacks_is_reported(tmp_path):
    page = tmp_path / "page.html"
    page.write_text(PAGE)
    with pytest.raises(SystemExit, match="has no table after 'Third'"):
        write_tables(page, {"heading": "Third"})
