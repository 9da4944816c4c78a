"""The declaration of a text-to-speech system (the content of `eval/systems/NAME.yaml`) and its validation."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dia.dialogue.tags import known_tags
from dia.errors import UserError
from dia.files import is_plain_name
from dia.resources import declaration as read_resource

SEEDS = {"honoured": True, "best effort": None, "none": False}  # stored as `seed_honoured` in each row
UNITS = ("character", "second")
VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")
SPEAKER = re.compile(r"S[1-9][0-9]*")
REQUIRED = ("name", "client", "model", "format", "seeds", "licence")
# formats without a header, whose name states the sample rate (`pcm_24000`), and their subtypes of libsndfile
RAW_FORMATS = {"pcm": "PCM_16", "ulaw": "ULAW", "alaw": "ALAW"}
UNREADABLE_FORMATS = ("aac", "m4a", "webm", "wma", "amr")  # libsndfile cannot decode them
# keys of access and billing, which do not change the audio and therefore not the fingerprint
ACCESS_KEYS = ("key", "concurrency", "timeout_seconds", "price", "cost_header", "request_id_header", "stops")


@dataclass(frozen=True)
class Price:
    """Dollars for one unit (a character of input or a second of audio); ``dollars`` is None when unknown."""

    unit: str
    dollars: float | None
    source: str


@dataclass(frozen=True)
class SystemDeclaration:
    """A text-to-speech system: its client, model, voices, tags, limits and price."""

    name: str
    client: str
    """The client class: a name of `clients.py`; the command line may name a class of its own (see there)."""
    model: str
    """Model id that requests name; for a local model a folder or a Hub id."""
    format: str
    """Audio format in the vendor's notation: `wav`, `mp3_44100_128`, `opus`, `pcm_24000` (mono)."""
    seeds: str
    """Whether a seed reproduces the audio: `honoured`, `best effort` or `none`."""
    licence: str
    """Licence of the model or terms of the service, as far as they concern publishing the audio."""
    revision: str = ""
    """Commit of a Hub id; empty loads the newest one. Rows store the commit that was loaded."""
    voices: dict[str, Any] = field(default_factory=dict)
    """Voice of each speaker (S1, S2, ...), in the vendor's notation."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Parameters that every request carries; for `client: http` see `http_client.py`."""
    tags: dict[str, str] = field(default_factory=dict)
    """The system's notation of canonical tags (data/tags.yaml); rows list the other tags as dropped."""
    tag_map_version: str = ""
    emotions: dict[str, str] = field(default_factory=dict)
    """The system's notation of emotions (data/emotions.yaml)."""
    emotion_in: str = "text"
    """Where the emotion goes: in front of the words (`text`), or into a separate field (`style`)."""
    limit_characters: int = 0
    """Maximum characters of one request; 0 means no known limit."""
    price: Price | None = None
    """None: the system is free of charge."""
    key: str = ""
    """Environment variable that holds the API key; empty when none is needed."""
    base_url: str = ""
    path: str = ""
    """Folder of recordings, or their table (JSONL), for `client: folder`."""
    turn_gap_seconds: float = 0.2
    """Silence between turns that are requested separately."""
    concurrency: int = 1
    timeout_seconds: float = 240.0
    request_id_header: str = ""
    cost_header: str = ""
    stops: list[str] = field(default_factory=list)
    """Substrings of an error response after which no request will succeed, such as `insufficient_quota`."""

    @property
    def seed_honoured(self) -> bool | None:
        """Whether seeds reproduce the audio; None when the vendor gives no guarantee."""
        return SEEDS[self.seeds]

    def fingerprint(self) -> str:
        """Return the sha256 of every key that affects the audio."""
        content = {key: value for key, value in asdict(self).items() if key not in ACCESS_KEYS}
        content["client"] = Path(self.client).name  # where a user's own client file lies does not matter
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def parse_declaration(content: Mapping[str, Any]) -> SystemDeclaration:
    """Return the validated declaration. Raises :class:`UserError` that lists every problem."""
    name = str(content.get("name", "system"))
    known = {item.name: item for item in fields(SystemDeclaration)}
    problems = [
        f"unknown key {key}; the known keys are {', '.join(known)}" for key in content if key not in known
    ]
    problems += [f"the key {key} is missing" for key in REQUIRED if not content.get(key)]
    for key, types in TYPES.items():
        if key in content and (not isinstance(content[key], types) or isinstance(content[key], bool)):
            problems.append(f"{key} has the wrong type {type(content[key]).__name__}")
    if not problems:
        problems = _value_problems(content)
    if problems:
        raise UserError(f"system {name}:\n" + "\n".join(f"  - {problem}" for problem in problems))
    price = content.get("price")
    return SystemDeclaration(**{**content, "price": Price(**price) if price else None})


TEXT_KEYS = (
    *REQUIRED,
    *(
        "tag_map_version",
        "emotion_in",
        "revision",
        "key",
        "base_url",
        "path",
        "request_id_header",
        "cost_header",
    ),
)
TYPES: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(TEXT_KEYS, (str,)),
    **dict.fromkeys(("voices", "settings", "tags", "emotions"), (dict,)),
    **dict.fromkeys(("turn_gap_seconds", "timeout_seconds"), (int, float)),
    **dict.fromkeys(("limit_characters", "concurrency"), (int,)),
    "price": (dict, type(None)),
    "stops": (list,),
}


def _value_problems(content: Mapping[str, Any]) -> list[str]:
    problems = [
        f"tags.{tag} is not a canonical tag; data/tags.yaml lists them"
        for tag in content.get("tags", {})
        if tag not in known_tags()
    ]
    emotions = read_resource("data/emotions.yaml")
    problems += [
        f"emotions.{name} is not a known emotion; data/emotions.yaml lists them"
        for name in content.get("emotions", {})
        if name not in emotions
    ]
    problems += [
        f"voices.{name} is not a speaker; use S1, S2"
        for name in content.get("voices", {})
        if not SPEAKER.fullmatch(name)
    ]
    problems += _choice_problems(content) + _range_problems(content) + _format_problems(content["format"])
    if (key := content.get("key", "")) and not VARIABLE.fullmatch(key):
        # the value may be the secret itself: do not repeat it
        problems.append(
            "key must name an environment variable such as OPENAI_API_KEY; never write a key into a file"
        )
    if (name := content.get("name", "")) and not is_plain_name(name):
        problems.append(f"name={name!r} must be a plain folder name: recordings lie in outputs/NAME/RUN_ID")
    address = urlsplit(content.get("base_url", ""))
    if address.username or address.password or address.query:
        problems.append("base_url must not contain credentials or a query: it is stored in every recording")
    return problems + _price_problems(content.get("price"))


def _choice_problems(content: Mapping[str, Any]) -> list[str]:
    problems = []
    for key, allowed in (("seeds", tuple(SEEDS)), ("emotion_in", ("text", "style"))):
        if content.get(key, allowed[0]) not in allowed:
            problems.append(f"{key}={content[key]!r} must be one of: {', '.join(allowed)}")
    return problems


def _format_problems(audio_format: str) -> list[str]:
    """Return why a response in this format could not be decoded: it is reported before one is paid for."""
    kind, _, rate = audio_format.partition("_")
    if kind in UNREADABLE_FORMATS:
        return [f"format={audio_format!r} cannot be decoded; declare wav, flac, mp3, opus or another that is"]
    if kind in RAW_FORMATS and not (rate.isdecimal() and int(rate)):
        return [f"format={audio_format!r} needs the sample rate that the service documents, as in pcm_24000"]
    return []


def _range_problems(content: Mapping[str, Any]) -> list[str]:
    minima = {"limit_characters": 0, "concurrency": 1, "turn_gap_seconds": 0, "timeout_seconds": 0.001}
    return [
        f"{key}={content[key]} must be {minimum} or more"
        for key, minimum in minima.items()
        if content.get(key, minimum) < minimum
    ]


def _price_problems(price: dict[str, Any] | None) -> list[str]:
    if not price:
        return []
    if set(price) != {"unit", "dollars", "source"}:
        return ["price must have exactly the keys unit, dollars and source"]
    problems = []
    if price["unit"] not in UNITS:
        problems.append(f"price.unit={price['unit']!r} must be one of: {', '.join(UNITS)}")
    dollars = price["dollars"]
    if dollars is not None and not (isinstance(dollars, int | float) and dollars >= 0):
        problems.append(f"price.dollars={dollars!r} must be 0 or more, or null when it is unknown")
    return problems
