"""Replace a secret in texts from outside, in every notation in which a service may repeat it.

An error page repeats what it was sent: as plain text, in JSON, percent-encoded in an address, escaped in
HTML, as base64 or as hexadecimal digits. A text is redacted before it is cut, because a part of a secret is
no longer found.
"""

import base64
import json
import re
from collections.abc import Callable
from html.entities import codepoint2name

MARK = "[key]"
ESCAPED = "\"'\\/"  # JSON and JavaScript write a backslash before them
ENCODINGS = ("utf-8", "latin-1")
SHORTEST = 6  # characters of an encoded secret; fewer occur by coincidence


def make_redactor(secret: str) -> Callable[[str], str]:
    """Return a function that replaces a secret in a text by ``[key]``."""
    if not secret:
        return lambda text: text
    spelled = "".join(_spellings(character) for character in secret)
    encoded = {part for encoding in ENCODINGS for part in _encoded(secret, encoding)}
    pattern = re.compile("|".join([spelled, *sorted(map(re.escape, encoded), key=len, reverse=True)]))
    return lambda text: pattern.sub(MARK, text)


def _spellings(character: str) -> str:
    """Return a pattern of the notations of one character, which a text may mix."""
    number = ord(character)
    units = character.encode("utf-16-be", "surrogatepass")
    escaped = "".join(
        rf"\\{{1,4}}u(?i:{units[place : place + 2].hex()})" for place in range(0, len(units), 2)
    )
    backslashes = r"\\{0,4}" if character in ESCAPED else ""
    notations = [
        backslashes + re.escape(character),
        re.escape(json.dumps(character)[1:-1]),
        escaped,
        rf"&#0{{0,8}}{number};?",
        rf"&#[xX]0{{0,8}}(?i:{number:x});?",
        *(_percent(character.encode(encoding, "replace")) for encoding in ENCODINGS),
        *(_latin_1(character.encode("utf-8", "surrogatepass"))),
    ]
    if number in codepoint2name:
        notations.append(f"&{codepoint2name[number]};?")
    if character == "'":
        notations.append("&apos;?")
    if character == " ":
        notations.append(re.escape("+"))
    return f"(?:{'|'.join(dict.fromkeys(notations))})"


def _percent(content: bytes) -> str:
    """Return a pattern of percent-encoded bytes; a per cent sign may itself be encoded."""
    return "".join(f"%(?:25){{0,3}}(?i:{byte:02x})" for byte in content)


def _latin_1(content: bytes) -> list[str]:
    """Return the pattern of UTF-8 bytes that were decoded as Latin-1, as responses are here."""
    return [re.escape(content.decode("latin-1"))] if len(content) > 1 else []


def _encoded(secret: str, encoding: str) -> set[str]:
    """Return the secret's hexadecimal digits, and what of its base64 does not depend on the bytes around
    it."""
    content = secret.encode(encoding, "replace")
    patterns = {content.hex(), content.hex().upper()}
    for offset in range(3):  # base64 writes three bytes as four characters
        padded = base64.b64encode(bytes(offset) + content).decode()
        begin = -(-offset * 8 // 6)
        end = (offset + len(content)) * 8 // 6
        patterns |= {padded[begin:end], padded[begin:end].replace("+", "-").replace("/", "_")}
    return {text for text in patterns if len(text) >= SHORTEST}
