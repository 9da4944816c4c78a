"""Texts that sound alike have the same words; numbers agree digit by digit; only laughter is removed."""

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dia.dialogue import Script
from dia.judges.normalisation import normalise
from dia.judges.normalisation.compounds import with_reference_borders
from dia.judges.words import agreement, character_errors, disagreement, word_errors

ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
]
ONES += ["sixteen", "seventeen", "eighteen", "nineteen"]
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
VOCABULARY = [
    *[
        "the",
        "he",
        "ho",
        "ha",
        "haha",
        "hee",
        "heh",
        "oh",
        "um",
        "her",
        "hello",
        "said",
        "a",
        "i",
        "i'm",
        "don't",
        "can't",
        "they're",
        "we'd",
        "mr",
        "st",
        "dr",
        "us",
    ],
    *[
        "one",
        "two",
        "oh",
        "zero",
        "five",
        "twenty",
        "hundred",
        "thousand",
        "million",
        "first",
        "second",
        "and",
        "point",
        "half",
        "per",
        "cent",
    ],
    *[
        "dollars",
        "pounds",
        "cents",
        "p",
        "m",
        "am",
        "pm",
        "o'clock",
        "january",
        "may",
        "km",
        "minutes",
        "etc",
        "ok",
        "okay",
        "e-mail",
        "U.S.",
        "A.I.",
    ],
    *[
        "1",
        "5",
        "30",
        "05",
        "007",
        "1,000",
        "3.5",
        "$5",
        "$5.50",
        "50%",
        "5:30",
        "5:00",
        "2nd",
        "20th",
        "1960s",
        "-5",
        "½",
        "£3",
        "¥100",
        "no.",
    ],
]


def spoken(number):
    """A number below a trillion in English words."""
    for size, name in ((10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred")):
        if number >= size:
            rest = f" {spoken(number % size)}" if number % size else ""
            return f"{spoken(number // size)} {name}{rest}"
    if number < 20:
        return ONES[number]
    return TENS[number // 10 - 2] + (f"-{ONES[number % 10]}" if number % 10 else "")


def errors(reference, hypothesis, language="en"):
    return word_errors(Script.parse(f"[S1] {reference}"), hypothesis, language).errors


@pytest.mark.parametrize(
    "written, said",
    [
        ("I don\u2019t know what they\u2019re doing", "I don't know what they are doing"),
        ("One, two, three", "1, 2, 3"),
        ("It starts at 5:30 p.m.", "it starts at five thirty p m"),
        ("5:30 PM", "five-thirty p.m."),
        ("at 5:05", "at five oh five"),
        ("at 05:30", "at five thirty"),
        ("at 5:00", "at five o'clock"),
        ("5:00 p.m.", "five pm"),
        ("A.I. in the U.S.", "AI in the US"),
        ("OK", "Okay"),
        ("O.K., alright", "okay all right"),
        ("$5.50", "five dollars and fifty cents"),
        ("$5.50", "five dollars fifty"),
        ("£5.50", "five pounds fifty pence"),
        ("$0.50", "fifty cents"),
        ("$1", "one dollar"),
        ("$20 million", "twenty million dollars"),
        ("$5M", "five million dollars"),
        ("¥100", "a hundred yen"),
        ("50%", "fifty per cent"),
        ("1%", "one percent"),
        ("5 km", "five kilometres"),
        ("a 5 km run", "a five kilometer run"),
        ("5mm or 10 lbs", "five millimeters or ten pounds"),
        ("120 mph", "one hundred and twenty miles per hour"),
        ("20°C", "twenty degrees celsius"),
        ("the 21st", "the twenty-first"),
        ("Jan. 2nd", "January 2"),
        ("3.14", "three point one four"),
        ("3.0", "three point zero"),
        ("2½", "two and a half"),
        ("007", "double oh seven"),
        ("-5", "minus five"),
        ("in 2005", "in twenty oh five"),
        ("the 1960s", "the nineteen sixties"),
        ("12 Main St. in town", "twelve main street in town"),
        ("Mr. Smith of St. John", "mister smith of saint john"),
        ("etc. vs. e.g.", "et cetera versus for example"),
        ("No. 7", "number seven"),
        ("Ummm, uhh, well", "well"),
        ("Oh, 20 people", "oh twenty people"),
        ("a well-known e-mail", "a well known e mail"),
        ("1,000,000", "a million"),
    ],
)
def test_what_sounds_alike_has_the_same_words(written, said):
    assert normalise(written) == normalise(said) != ()
    assert errors(written, said) == errors(said, written) == 0
    assert character_errors(Script.parse(f"[S1] {written}"), said)[0] == 0


@pytest.mark.parametrize(
    "reference, hypothesis",
    [
        ("I got an email", "I got an e-mail"),
        ("The A I model", "the AI model"),
        ("AI rules", "A I rules"),
        ("Spell D-I-A please", "spell DIA please"),
        ("U.S. I think", "U S I think"),
        ("the ice cream man", "the icecream man"),
        ("maybe so", "may be so"),
    ],
)
def test_words_together_or_apart_are_no_errors(reference, hypothesis):
    assert errors(reference, hypothesis) == errors(hypothesis, reference) == 0
    assert character_errors(Script.parse(f"[S1] {reference}"), hypothesis)[0] == 0
    assert disagreement(reference, hypothesis)[0] == 0 and agreement(reference, hypothesis) == 1


def test_borders_are_moved_only_where_words_differ():
    reference = ["apart", "from", "a", "part"]
    assert with_reference_borders(reference, ["apart", "from", "apart"]) == reference
    assert with_reference_borders(reference, ["a", "part", "from", "a", "part"]) == reference
    assert with_reference_borders(["1", "2"], ["12"]) == ["12"]  # digits are words already
    assert with_reference_borders([], ["a"]) == ["a"] and with_reference_borders(["a"], []) == []
    assert errors("maybe not", "may bee not") == 2


@pytest.mark.parametrize("text", ["Did he? He said so", "He, he said", "Heave ho", "her house", "aha hello"])
def test_words_that_only_look_like_laughter_remain(text):
    assert len(normalise(text)) == len(text.split())


@pytest.mark.parametrize(
    "laughter",
    [
        "haha",
        "ha ha ha",
        "hahaha",
        "Ha-ha!",
        "heh",
        "hehehe",
        "he he he",
        "Ho, ho, ho",
        "mwahaha",
        "Ahuhuhuhhh",
        "Ah, ah, ah, ah, ah",
    ],
)
def test_laughter_is_removed(laughter):
    assert normalise(laughter) == ()
    assert normalise(f"Well, {laughter} then he said so") == ("well", "then", "he", "said", "so")


def test_a_few_ahs_are_words():
    assert normalise("Ah, ah, ah, you are late") == ("ah", "ah", "ah", "you", "are", "late")


@pytest.mark.parametrize("wrong, count", [("1985", 1), ("1994", 1), ("2085", 3), ("nineteen eighty-five", 1)])
def test_a_wrong_digit_is_one_error(wrong, count):
    assert errors("in 1984", f"in {wrong}") == count
    assert errors("five million", "six million") == errors("the 21st", "the 22nd") == 1


@settings(max_examples=40)
@given(st.integers(0, 10**12 - 1))
def test_spoken_and_written_numbers_agree(number):
    said = spoken(number)
    assert normalise(str(number)) == normalise(said) == normalise(f"{number:,}")
    assert normalise(f"it is {number} degrees") == normalise(f"It is {said} degrees.")


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(0, 99), st.sampled_from(["$ dollars cents", "€ euros cents"]))
def test_spoken_and_written_amounts_agree(amount, cents, currency):
    sign, name, fraction = currency.split()
    written = f"{sign}{amount}.{cents:02d}"
    said = f"{spoken(amount)} {name} and {spoken(cents)} {fraction}" if cents else f"{spoken(amount)} {name}"
    if amount:
        assert normalise(written) == normalise(said)
    assert normalise(f"{sign}{amount}") == normalise(f"{spoken(amount)} {name}")
    assert normalise(f"{amount}%") == normalise(f"{spoken(amount)} percent")


@settings(max_examples=40)
@given(st.integers(1, 12), st.integers(0, 59), st.sampled_from(["a.m.", "p.m."]))
def test_spoken_and_written_times_agree(hour, minute, half):
    said = spoken(hour) + (
        f" oh {spoken(minute)}" if 0 < minute < 10 else f" {spoken(minute)}" * (minute > 0)
    )
    for suffix in (half, half.replace(".", ""), half.upper()):
        assert normalise(f"{hour}:{minute:02d} {suffix}") == normalise(f"{said} {suffix}")
        assert normalise(f"{hour:02d}:{minute:02d}{suffix}") == normalise(f"{said} {suffix}")


@settings(max_examples=40)
@given(st.integers(1, 31), st.sampled_from(["January", "May", "December"]))
def test_days_of_months_are_cardinal_or_ordinal(day, month):
    suffix = "th" if 10 < day < 14 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    assert normalise(f"{month} {day}{suffix}") == normalise(f"{month} {day}")


@given(st.lists(st.sampled_from(VOCABULARY), max_size=12))
def test_normalising_twice_changes_nothing(words):
    once = normalise(" ".join(words))
    assert normalise(" ".join(once)) == once


@given(st.text(max_size=40))
def test_any_text_is_normalised_to_words_without_spaces(text):
    once = normalise(text)
    assert all(word and not any(sign.isspace() for sign in word) for word in once)
    assert normalise(" ".join(once)) == once
    for language in ("zh", "fr"):
        assert all(not any(sign.isspace() for sign in word) for word in normalise(text, language))


@given(
    st.lists(st.text(string.ascii_lowercase, min_size=1, max_size=6), min_size=1, max_size=8),
    st.sampled_from([", ", "; ", "! ", " — ", "… ", "? "]),
)
def test_case_and_punctuation_do_not_matter(words, mark):
    plain = normalise(" ".join(words))
    assert normalise(mark.join(words).upper() + mark) == plain
    assert normalise(f'"{mark.join(words).title()}"') == plain


@given(
    st.lists(
        st.sampled_from(
            ["the", "weather", "is", "lovely", "I'm", "you'll", "colour", "mr", "can't", "wanna", "dr"]
        ),
        max_size=9,
    )
)
def test_without_numbers_and_laughter_the_words_are_those_of_whisper_normalizer(words):
    from whisper_normalizer.english import EnglishTextNormalizer

    text = " ".join(words)
    assert list(normalise(text)) == EnglishTextNormalizer()(text).split()


def test_other_languages_have_whispers_basic_words_and_chinese_and_japanese_characters():
    assert normalise("L'\u00e9t\u00e9, \u00e7a va?", "fr") == ("l", "\u00e9t\u00e9", "\u00e7a", "va")
    assert normalise("Das macht 5 Euro.", "de") == ("das", "macht", "5", "euro")
    assert normalise("\u4f60\u597d\uff0c\u4e16\u754c", "zh") == tuple("\u4f60\u597d\u4e16\u754c")
    assert normalise("\u3053\u3093\u306b\u3061\u306f\u3002", "ja") == tuple("\u3053\u3093\u306b\u3061\u306f")
    assert errors("\u4f60\u597d\u4e16\u754c", "\u4f60\u597d\u3001\u4e16 \u754c\u3002", "zh") == 0
    script = Script.parse("[S1] \u4f60\u597d\u4e16\u754c")
    assert character_errors(script, "\u4f60\u597d\u4e16\u95f4", "zh") == (1, 4)
    assert errors("Er hat he he gesagt", "er hat he he gesagt", "de") == 0  # English laughter is English only
