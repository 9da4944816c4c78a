"""Numbers as their digits, one word each: "seven nine twelve", "7, 9, 12" and "7912" are 7 9 1 2.

Digits are the finest unit on which all ways of writing a number agree, and one wrong digit is one error.
Whole millions and above keep their magnitude ("20,000,000" is 2 0 million). The values of spoken numbers are
computed by whisper-normalizer; this module replaces what it writes ("$1" becomes "one" there).
"""

import re
from itertools import groupby
from typing import Any

CURRENCIES = {"$": "dollars", "€": "euros", "£": "pounds", "¢": "cents"}
SIGNS = {"-": "minus", "+": "plus"}
NUMBER = re.compile(r"([-+]?)([$€£¢]?)(\d*)(?:\.(\d+))?(%|st|nd|rd|th|s)?")
PIECES = re.compile(r"\d|[^\W\d_]+(?:'[^\W\d_]+)*|%|\.(?=\d)")
NAMED_PIECES = {"%": "percent", ".": "point"}
MAGNITUDES = {6: "million", 9: "billion", 12: "trillion"}  # by zeros
CENTS = re.compile(r"([€£$])(\d+) (?:and )?¢(\d{1,2})(?!\S)")
SINGLE_DIGITS = re.compile(r"(?<![\w.])\d(?: \d)+(?![\w.])")  # as this module writes numbers
A_HUNDRED = re.compile(r"\ban? (?=(?:hundred|thousand|million|billion|trillion)\b)")
AND_A_HALF = re.compile(r"\b(\d+) and a half\b")
OH = re.compile(r"o+h*")
NUMBERS = ("double", "triple", "hundred", "thousand")  # may stand before "oh" where it is a zero
NO_DIGIT = "ohh"  # an "oh" that whisper-normalizer does not take for a zero
ZERO_CENTS = re.compile(r"([€£$]\d+)\.00(?!\d)")
ZERO_DECIMALS = re.compile(r"(?<=\d)\.(0+)(?![\d.])")
LEADING_ZEROS = re.compile(r"(?<![\d.])0+(?=\d)")
ONLY_CENTS = re.compile(r"[€$]0\.(\d\d)(?!\S)")


def spoken_numbers(text: str) -> str:
    """Return a text with numbers as whisper-normalizer writes them ("$20", "21st") as separate words."""
    text = CENTS.sub(lambda match: f"{match[1]}{match[2]}.{int(match[3]):02d}", text)
    text = ONLY_CENTS.sub(r"¢\1", text)
    text = text.replace(NO_DIGIT, "oh")
    return " ".join(_with_magnitudes([word for token in text.split() for word in _words(token)]))


def number_normaliser() -> Any:
    """Return the number normaliser of whisper-normalizer that ends with :func:`spoken_numbers`."""
    from whisper_normalizer.english import EnglishNumberNormalizer

    class SpokenNumbers(EnglishNumberNormalizer):  # type: ignore[misc]  # not annotated
        def preprocess(self, text: str) -> str:
            text = A_HUNDRED.sub("one ", SINGLE_DIGITS.sub(_joined, text))
            text = str(super().preprocess(AND_A_HALF.sub(r"\1.5", text)))
            return self.with_interjections(_with_zeros(text))

        def with_interjections(self, text: str) -> str:
            """Replace "oh" where it is no digit, because no number stands before it."""
            words: list[str] = []
            for word in text.split():
                before = words[-1] if words else ""
                is_number = before[-1:].isdigit() or before in NUMBERS or before in self.decimals
                is_oh = OH.fullmatch(word) is not None
                words.append(word if not is_oh else "zero" if is_number and len(word) < 3 else NO_DIGIT)
            return " ".join(words)

        def postprocess(self, text: str) -> str:
            return spoken_numbers(text)

    return SpokenNumbers()


def _joined(match: re.Match[str]) -> str:
    return match[0].replace(" ", "")


def _with_zeros(text: str) -> str:
    """Return a text whose leading zeros and zero decimals stand alone; within numbers they would be lost."""
    text = ZERO_CENTS.sub(r"\1", text)
    text = ZERO_DECIMALS.sub(lambda match: " point" + " 0" * len(match[1]), text)
    return LEADING_ZEROS.sub(lambda match: "0 " * len(match[0]), text)


def _words(token: str) -> list[str]:
    """Return the spoken words of one token."""
    match = NUMBER.fullmatch(token)
    if match is None or not (match[3] or match[4]):
        has_digit = any(sign.isdigit() for sign in token)
        return [NAMED_PIECES.get(piece, piece) for piece in PIECES.findall(token)] if has_digit else [token]
    sign, currency, digits, decimals, suffix = match.groups()
    words = [SIGNS[sign]] if sign else []
    words += list(digits)
    if currency in CURRENCIES and currency != "¢" and digits and decimals and len(decimals) == 2:
        return [*words, CURRENCIES[currency], *(str(int(decimals)) if int(decimals) else "")]
    if decimals:
        words += ["point", *decimals]
    if currency:
        words.append(CURRENCIES[currency])
    if suffix == "%":
        return [*words, "percent"]
    return [*words[:-1], words[-1] + suffix] if suffix else words


def _with_magnitudes(words: list[str]) -> list[str]:
    """Return words with the zeros of whole millions, billions and trillions as one word."""
    result: list[str] = []
    for are_digits, group in groupby(words, lambda word: len(word) == 1 and word.isdigit()):
        run = list(group)
        zeros = len(run) - len("".join(run).rstrip("0")) if are_digits else 0
        zeros = 0 if zeros == len(run) else zeros
        magnitude = max((power for power in MAGNITUDES if power <= zeros), default=0)
        result += [*run[: len(run) - magnitude], MAGNITUDES[magnitude]] if magnitude else run
    return result
