"""Published results: every number has its source, typing mistakes are detected, and tables are not mixed."""

import re
from pathlib import Path

import pytest
import yaml

from dia.errors import UserError
from dia.evaluation.published import load_published
from dia.resources import resource


def test_every_number_has_a_source_and_dia_occurs_in_five():
    numbers = load_published()
    assert all(number.where and number.condition and number.test for number in numbers)
    assert {number.source for number in numbers if number.system.startswith("Dia")} == {
        "DSM-TTS (Kyutai)", "ZipVoice-Dialog", "VibeVoice", "Higgs Audio v2", "NVV-SuperBench",
    }  # fmt: skip
    dia = {(number.source, number.metric): number.value for number in numbers if number.system == "Dia"}
    assert dia["NVV-SuperBench", "tag_f1"] == 0.632 and dia["ZipVoice-Dialog", "wer"] == 11.80


def test_numbers_agree_with_each_other():
    """F1 is the harmonic mean of precision and recall, and the derived rate of false events follows from
    them.
    """
    tables = {}
    for number in load_published():
        if number.source == "NVV-SuperBench" and number.test == "English, tag-based":
            tables.setdefault(number.system, {})[number.metric] = number.value
    for system, row in tables.items():
        precision, recall = row["tag_precision"], row["tag_recall"]
        assert 2 * precision * recall / (precision + recall) == pytest.approx(row["tag_f1"], abs=0.002), (
            system
        )
        assert recall / precision - recall == pytest.approx(row["false_events"], abs=0.006), system


def test_only_numbers_of_one_test_stand_together():
    groups = {}
    for number in load_published():
        if number.metric == "wer":
            groups.setdefault((number.source, number.test), []).append(number)
    assert ("NVV-SuperBench", "English, tag-based") in groups and len(groups) >= 5


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("Dia: [11.80,", "Dia: [1180,", "wer=1180.0 lies outside"),
        ("Dia: [11.80,", 'Dia: ["11.80",', "is not a number"),
        ("Dia: [11.80, 0.333,", "Dia: [11.80,", "has 3 values for 4 columns"),
        ("confidence: secondary", "confidence: hearsay", "confidence='hearsay'"),
        ("columns: [wer, cpsim,", "columns: [wer, beauty,", "beauty is not declared"),
        ("where: boson-ai/higgs-audio, README.md", "where: ''", "where is empty"),
        ("test: small talk, without", "test: small talk, with", "occurs twice"),
    ],
)
def test_typing_mistakes_are_detected(tmp_path, before, after, said):
    text = resource("eval/published.yaml").read_text()
    assert before in text
    (tmp_path / "p.yaml").write_text(text.replace(before, after, 1))
    with pytest.raises(UserError, match=re.escape(said)):
        load_published(tmp_path / "p.yaml")


def test_a_file_that_is_no_table_is_refused(tmp_path):
    (tmp_path / "p.yaml").write_text(yaml.safe_dump([1]))
    with pytest.raises(UserError, match="metrics and tables"):
        load_published(tmp_path / "p.yaml")


def test_the_page_of_dia_s_numbers_holds_every_published_one():
    page = (Path(__file__).parents[2] / "docs" / "dia-numbers.md").read_text()
    words = set(re.findall(r"[0-9]*\.[0-9]+|[0-9]+", page))
    for number in load_published():
        if number.system.startswith("Dia"):
            assert any(float(word) == number.value for word in words), (number.source, number.metric)
