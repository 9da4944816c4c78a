"""A key is removed from what a service answers, in whatever notation it repeats it, before anything is
cut."""

import base64
import html
import json
import random
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dia.redaction import MARK, make_redactor

KEY = "sk-Ab1/+=?&<\"'>\\ü-0123456789"
NOTATIONS = {
    "plain": lambda text: text,
    "json": json.dumps,
    "json with letters": lambda text: json.dumps(text, ensure_ascii=False),
    "json in json": lambda text: json.dumps(json.dumps(text)),
    "percent": quote,
    "percent everything": lambda text: quote(text, safe=""),
    "percent plus": quote_plus,
    "percent lower": lambda text: quote(text, safe="").lower() if text.islower() else quote(text, safe=""),
    "percent twice": lambda text: quote(quote(text, safe=""), safe=""),
    "html": html.escape,
    "html numbers": lambda text: "".join(f"&#{ord(letter)};" for letter in text),
    "html hexadecimal": lambda text: "".join(f"&#x{ord(letter):X};" for letter in text),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 of an address": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "hexadecimal": lambda text: text.encode().hex(),
    "latin-1": lambda text: text.encode().decode("latin-1"),
}


@pytest.mark.parametrize("notation", NOTATIONS)
def test_no_notation_of_a_key_stays(notation):
    written = NOTATIONS[notation](KEY)
    redacted = make_redactor(KEY)(f"before {written} after")
    assert MARK in redacted and redacted.startswith("before ") and redacted.endswith(" after")
    # of base64 up to two characters at each end hold bits of the neighbours
    assert len(redacted) <= len(f"before {MARK} after") + 6


@pytest.mark.parametrize("before", ["", "B", "Be", "Bearer ", "user:"])
@pytest.mark.parametrize("after", ["", "!", "!!"])
def test_base64_of_a_longer_text_hides_the_key(before, after):
    key = "sk-0123456789abcdef"
    written = base64.b64encode((before + key + after).encode()).decode()
    redacted = make_redactor(key)(written)
    kept = redacted.split(MARK)
    assert len(kept) == 2 and sum(map(len, kept)) <= len(base64.b64encode((before + after).encode())) + 4


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=24), st.randoms())
def test_a_mixture_of_notations_hides_the_key(key, rng: random.Random):
    letters = [
        rng.choice(
            [
                letter,
                f"%{ord(letter):02X}",
                f"%{ord(letter):02x}",
                f"&#{ord(letter)};",
                f"\\u{ord(letter):04x}",
            ]
        )
        for letter in key
    ]
    redacted = make_redactor(key)("<" + "".join(letters) + ">")
    assert MARK in redacted and len(redacted) <= len(MARK) + 2 + 4


def test_other_content_stays_and_long_content_is_quick():
    redact = make_redactor("sk-0123456789abcdef")
    content = bytes(range(256)).decode("latin-1") * 8000 + "\\" * 100_000 + "&#0000" * 10_000 + "%25" * 10_000
    assert redact(content) == content
    assert make_redactor("")("anything") == "anything"
