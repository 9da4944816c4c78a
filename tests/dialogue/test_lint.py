"""The linter: what is legal, what is an error, what is a warning, and that it judges what the model reads."""

import logging
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dia.dialogue import Limits, Script, encode_text, lint
from dia.dialogue.check import check_texts
from dia.dialogue.foreign_marks import foreign_marks, without_foreign_marks
from dia.dialogue.language import foreign_language
from dia.dialogue.lint import NO_LIMITS
from dia.errors import UserError
from dia.resources import declaration, resource
from tests.dialogue.test_script import scripts

PASS = Limits(shortest_seconds=0.0, longest_seconds=20)
LEGAL = [
    "[S1] Well, that is good news. (laughs) [S2] Yes, we can meet on Friday.",
    "[S1] Hi.",
    "[S1] We can meet on Friday. [S2] Good. [S1]",  # the remedy of nari-labs/dia for a clipped end
    "[S2] Hello there, my friend.",
    "[S1] What the recording says. [S1] What it continues with.",
    "[S1] {happy} We won!",
    "[S1] Remember: 5 < 6, and 2 * 3 * 4 is 24.",
]
ERRORS = [
    ("", "is empty"),
    (" \n", "is empty"),
    ("[S1]", "is empty"),
    ("[S1] [S2]", "is empty"),
    ("[S1] One two. [S3] Four five.", "[S3] is not a speaker of this model; it has [S1] to [S2]"),
    ("[S1] " + "word " * 300, "over the 1,024"),
    ("[S1] a\x01b", "control characters [1]"),
    ("[S1] a\x00b", "control characters [0]"),
    ("[S1] half \ud83d", "lone surrogate"),
]
WARNINGS = [
    ("Hello there.", "does not begin with a speaker"),
    ("[S01] Hello there.", "does not begin with a speaker"),
    ("[S01] Hello there.", "write speakers as [S1]"),
    ("[s1] Hello there.", "write speakers as [S1]"),
    ("S1: Hello there.", "write speakers as [S1]"),
    ("[S1] Hello (lauhgs) there.", "the nearest is (laughs)"),
    ("[S1] The (WHO) said so.", "(WHO) is not a tag that Dia knows"),
    ("[S1] He left (and never came back).", "write an aside between commas"),
    ("[S1] " + "word " * 100, "too long for one pass"),
    ("[S1] [S2] Hello there you.", "turn 1 ([S1]) is empty"),
    ("[S1] Hello () there my friend.", "a tag is empty"),
    ("[S1] Hello (laughs there my friend.", "a stray ("),
    ("[S1] Hello {there} my friend.", "a stray { }"),
    ("[S1] {hapy} Hello there.", "is not a known emotion"),
    ("[S1] a\x07b", "control characters U+0007"),
    ("[S1] Well \U0001f602 so it is.", "\U0001f602 is not read"),
    ("[S1] Ha [laughs] so it is.", "[laughs] is a mark of ElevenLabs v3 and Bark and would be read"),
    ("[S1] Ha [laughter] so it is.", "[laughter] is a mark of Bark and CosyVoice"),
    ("[S1] He [whispers] so it is.", "[whispers] is a mark of ElevenLabs v3"),
    ("[S1] Well <break/> so it is.", "<break/> is a mark of Dia2 and SSML and would be read"),
    ('[S1] Well <break time="1.0s" /> so.', "is a mark of Dia2 and SSML"),
    ("<speak>[S1] So it is.</speak>", "<speak> is a mark of SSML"),
    ("[S1] Ha <laugh> so it is.", "<laugh> is a mark of Orpheus and would be read as text; write (laughs)"),
    ("tara: So it is.", "tara: is a mark of Orpheus"),
    ("[0]Hello from Sesame.", "[0] is a mark of Sesame CSM"),
    ("Speaker 1: Hello there.\nSpeaker 2: Hello.", "Speaker 2: is a mark of VibeVoice"),
    ("[S1] So [uv_break] it is.", "[uv_break] is a mark of ChatTTS"),
    ("[S1] So [breath] it is.", "[breath] is a mark of CosyVoice"),
    ("[S1] So [shush] it is.", "[shush] is a mark of Chatterbox"),
    ("\u266a In the jungle \u266a", "\u266a is a mark of Bark"),
    ("[S1] *sighs* So it is.", "*sighs* is a mark of Markdown and would be read as text; write (sighs)"),
    ("[S1] So [whatever] it is.", "[whatever] is no mark of Dia"),
    ("[S1] Ich habe heute keine Zeit.", "seems to be German"),
]  # fmt: skip


@pytest.mark.parametrize("text", LEGAL)
def test_legal_texts_have_no_problems_and_stay_as_they_are(text):
    result = lint(text, PASS)
    assert result.problems == () and result.text == text


@pytest.mark.parametrize(("text", "message"), ERRORS)
def test_what_cannot_be_spoken_is_an_error(text, message):
    assert any(message in error for error in lint(text, PASS).errors), lint(text, PASS)


@pytest.mark.parametrize(("text", "message"), WARNINGS)
def test_what_may_not_be_spoken_as_meant_is_a_warning(text, message):
    result = lint(text, PASS)
    assert result.errors == () and any(message in warning for warning in result.warnings), result


def test_an_aside_has_a_nearest_tag_only_when_one_is_near():
    assert not any("nearest" in warning for warning in lint("[S1] The (WHO) said so.", PASS).warnings)
    assert lint("[S1] Ha (laugh) ha.", PASS).text == "[S1] Ha (laughs) ha."


def test_the_defaults_are_the_range_of_dia():
    assert "too short for one pass" in lint("[S1] Hi.").warnings[0]
    assert "too long for one pass" in lint("[S1] " + "word " * 100).warnings[0]


@given(scripts())
@settings(max_examples=30)
def test_any_script_of_words_and_tags_is_legal(script):
    result = lint(script.render(), NO_LIMITS)
    assert result.errors == () and result.text == script.render()
    assert not [warning for warning in result.warnings if "seems to be" not in warning]


@given(st.text(max_size=60))
def test_every_text_gets_a_judgement_and_without_errors_it_is_encoded(text):
    result = lint(text, PASS)
    assert lint(result.text, PASS).errors == result.errors
    if not result.errors:
        assert encode_text(result.text) and Script.read(result.text)


@given(
    st.lists(st.sampled_from(["[laughs]", "<break/>", "*ha*", "word", "[S1]", "(sighs)", "<", "2 * 3", "]"]))
)
def test_marks_are_removed_and_nothing_else(pieces):
    text = " ".join(pieces)
    rest = without_foreign_marks(text)
    assert not any(mark.written in ("[laughs]", "<break/>", "*ha*") for mark in foreign_marks(rest))
    assert [word for word in rest.split() if word.isalpha()] == [
        word for word in text.split() if word.isalpha()
    ]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Guten Morgen, wie geht es dir?", "German"),
        ("Hola, ¿cómo estás?", "Spanish"),
        ("Je ne sais pas ce que vous voulez.", "French"),
        ("Não sei o que você quer.", "Portuguese"),
        ("Non so che cosa è questo.", "Italian"),
        ("Ik weet het niet, maar dat is goed.", "Dutch"),
        ("Xin chào, tôi là Nam.", "Vietnamese"),
        ("Привет, как дела?", "written in Cyrillic letters"),
        ("你好。我是小明。", "written in Chinese letters"),
        ("Hello, 你好。我是小明。很高兴认识你。", "written in Chinese letters"),
        ("안녕하세요", "written in Hangul letters"),
        ("Siobhán, Nguyễn and Xiaoming wrote chapter IV together.", None),
        ("My friend 王小明 met 李雷.", None),
        ("We saw Les Misérables at the Théâtre de la Ville.", None),
        ("Los Angeles, Las Vegas, El Paso, La Jolla.", None),
        ("Zoë! José! Come here!", None),
        ("A café au lait, a naïve cliché, voilà.", None),
        ("", None),
        ("12:30!", None),
    ],
)
def test_other_languages_are_detected_and_english_with_names_is_not(text, language):
    assert foreign_language(text) == language


def test_no_english_sentence_seems_foreign():
    sentences = resource("data/open_english/sentences.txt").read_text(encoding="utf-8").splitlines()[::10]
    assert [sentence for sentence in sentences if foreign_language(sentence) or foreign_marks(sentence)] == []


def test_no_english_word_tells_another_language():
    languages = declaration("data/languages.yaml")
    counts = Counter(resource("data/open_english/sentences.txt").read_text(encoding="utf-8").lower().split())
    assert all(len(words) > 8 for words in languages.values())
    for language, words in languages.items():
        if language != "English":
            assert not set(words) & set(languages["English"]), language
            assert sum(counts[word] for word in words) < 150, language


def test_levels_refuse_log_or_leave(caplog):
    caplog.set_level(logging.WARNING, "dia")
    text = "[S1] Ha  (laugh) [laughs] (WHO)."
    assert check_texts([text], "warn", PASS) == ["[S1] Ha (laughs) [laughs] (WHO)."]
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    caplog.clear()
    assert check_texts([text, "[S3] \x01"], "off", PASS) == [text, "[S3] \x01"] and not caplog.records
    with pytest.raises(UserError, match=r"(?s)\[laughs\] is a mark.*\(WHO\) is not a tag"):
        check_texts([text], "error", PASS)
    with pytest.raises(UserError, match=r"(?s)text 2: \[S3\] is not a speaker.*text 3: the text is empty"):
        check_texts(["[S1] Yes.", "[S3] No.", ""], "warn", PASS)
    with pytest.raises(UserError, match="lint=loud is unknown; choose one of error, warn, off"):
        check_texts([text], "loud", PASS)
