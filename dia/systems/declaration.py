"""What a system is: the content of eval/systems/*.yaml, checked as a whole."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any
from urllib.parse import urlsplit

from dia.dialogue.tags import known_tags
from dia.errors import UserError
from dia.resources import declaration as read

SEEDS = {"honoured": True, "best effort": None, "none": False}  # what `seed_honoured` of a row says
UNITS = ("character", "second")
VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")
SPEAKER = re.compile(r"S[1-9][0-9]*")
# how it is reached and what it costs does not change what it says
NOT_OF_THE_SOUND = (
    "key",
    "concurrency",
    "timeout_seconds",
    "price",
    "cost_header",
    "request_id_header",
    "stops",
)


@dataclass(frozen=True)
class Price:
    """Dollars for one unit: a character sent, or a second of sound. ``dollars`` is None where no price could
    be read.
    """

    unit: str
    dollars: float | None
    source: str


@dataclass(frozen=True)
class Declaration:
    """A system. ``voices`` are by speaker (S1, S2, ...), in the system's own words; ``settings`` go into
    every request.
    """

    name: str
    client: str
    """Which code speaks to it, see `clients.py`."""
    model: str
    """The model id that is asked for; of a local system a folder or a Hub id."""
    format: str
    """The sound it answers with, in the vendor's spelling: `wav`, `wav_24000`, `mp3_44100_128`, `pcm_24000`
    (16-bit mono).
    """
    seeds: str
    """Whether a seed brings the same sound again: `honoured`, `best effort` or `none`."""
    licence: str
    """Licence of the model, or terms of the service, as far as they bear on publishing its sound."""
    revision: str = ""
    """Commit of a Hub id; empty takes the newest, and the rows say which it was."""
    voices: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    """Canonical tags (data/tags.yaml) and how this system spells them; a tag without one is left out, and the
    row says so.
    """
    tag_map_version: str = ""
    emotions: dict[str, str] = field(default_factory=dict)
    """Ways of speaking (data/emotions.yaml) and how this system is told."""
    emotion_in: str = "text"
    """Where it is told: before the words (`text`), or in a field of its own (`style`)."""
    limit_characters: int = 0
    """Most characters of one request; 0 is none that is known."""
    price: Price | None = None
    """None: it costs nothing."""
    key: str = ""
    """The environment variable that holds the key; empty when there is none."""
    base_url: str = ""
    path: str = ""
    """Folder of recordings, for `folder`."""
    turn_gap_seconds: float = 0.2
    """Silence between turns, where each is a request of its own."""
    concurrency: int = 1
    timeout_seconds: float = 240.0
    request_id_header: str = ""
    cost_header: str = ""
    stops: list[str] = field(default_factory=list)
    """Words of a refusal after which asking on is of no use (`insufficient_quota`)."""

    @property
    def seed_honoured(self) -> bool | None:
        """Whether seeds are honoured; None for a promise without guarantee."""
        return SEEDS[self.seeds]

    def fingerprint(self) -> str:
        """Return the sha256 of everything that bears on what the system says."""
        content = {key: value for key, value in asdict(self).items() if key not in NOT_OF_THE_SOUND}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def declaration_of(content: Mapping[str, Any]) -> Declaration:
    """Return the checked declaration. Raises :class:`UserError` with every problem at once."""
    name = str(content.get("name", "system"))
    known = {item.name: item for item in fields(Declaration)}
    problems = [
        f"has the unknown key {key}; there are {', '.join(known)}" for key in content if key not in known
    ]
    problems += [
        f"lacks {key}"
        for key in ("name", "client", "model", "format", "seeds", "licence")
        if not content.get(key)
    ]
    for key, kinds in KINDS.items():
        if key in content and not (isinstance(content[key], kinds) and not isinstance(content[key], bool)):
            problems.append(f"{key} has the wrong type {type(content[key]).__name__}")
    if not problems:
        problems = _values(content)
    if problems:
        raise UserError(f"system {name}:\n" + "\n".join(f"  - {problem}" for problem in problems))
    price = content.get("price")
    return Declaration(**{**content, "price": Price(**price) if price else None})


KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(
        ("name", "client", "model", "format", "seeds", "licence", "tag_map_version", "emotion_in", "revision",
         "key", "base_url", "path",
         "request_id_header", "cost_header"),
        (str,),
    ),
    **dict.fromkeys(("voices", "settings", "tags", "emotions"), (dict,)),
    **dict.fromkeys(("turn_gap_seconds", "timeout_seconds"), (int, float)),
    **dict.fromkeys(("limit_characters", "concurrency"), (int,)),
    "price": (dict, type(None)),
    "stops": (list,),
}  # fmt: skip


def _values(content: Mapping[str, Any]) -> list[str]:
    problems = [
        f"tags.{tag} is no canonical tag; they stand in data/tags.yaml"
        for tag in content.get("tags", {})
        if tag not in known_tags()
    ]
    emotions = read("data/emotions.yaml")
    problems += [
        f"emotions.{name} is no way of speaking; they stand in data/emotions.yaml"
        for name in content.get("emotions", {})
        if name not in emotions
    ]
    problems += [
        f"voices.{name} is no speaker; write S1, S2"
        for name in content.get("voices", {})
        if not SPEAKER.fullmatch(name)
    ]
    problems += _choices(content) + _ranges(content)
    if (key := content.get("key", "")) and not VARIABLE.fullmatch(key):
        # what stands there may be the key itself: it is not repeated
        problems.append(
            "key must name an environment variable such as OPENAI_API_KEY; a key itself has no place in a file"
        )
    address = urlsplit(content.get("base_url", ""))
    if address.username or address.password or address.query:
        problems.append("base_url must hold no name, password or key: it is written into every recording")
    return problems + _price_problems(content.get("price"))


def _choices(content: Mapping[str, Any]) -> list[str]:
    problems = []
    for key, allowed in (("seeds", tuple(SEEDS)), ("emotion_in", ("text", "style"))):
        if content.get(key, allowed[0]) not in allowed:
            problems.append(f"{key}={content[key]!r} must be one of: {', '.join(allowed)}")
    return problems


def _ranges(content: Mapping[str, Any]) -> list[str]:
    least = {"limit_characters": 0, "concurrency": 1, "turn_gap_seconds": 0, "timeout_seconds": 0.001}
    return [
        f"{key}={content[key]} must be {low} or more"
        for key, low in least.items()
        if content.get(key, low) < low
    ]


def _price_problems(price: dict[str, Any] | None) -> list[str]:
    if not price:
        return []
    if set(price) != {"unit", "dollars", "source"}:
        return ["price needs unit, dollars and source, and nothing else"]
    problems = (
        [] if price["unit"] in UNITS else [f"price.unit={price['unit']!r} must be one of: {', '.join(UNITS)}"]
    )
    dollars = price["dollars"]
    if dollars is not None and not (isinstance(dollars, int | float) and dollars >= 0):
        problems.append(f"price.dollars={dollars!r} must be 0 or more, or null where it is not known")
    return problems
