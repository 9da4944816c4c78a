"""Help texts of the commands: usage, examples, and each key with its meaning, type, choices and default."""

import shutil
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

import yaml

from dia.cli.command import Command
from dia.cli.commands import commands_of
from dia.cli.keys import Group, Key, groups_of
from dia.config.train import TASKS
from dia.config.weights import LAYOUTS
from dia.errors import UserError
from dia.resources import resource

FALLBACK_WIDTH = 100  # columns where there is no terminal
OPTIONS = (
    ("--help [TOPIC]", "show this help, or that of one group or key"),
    ("--cfg", "print the composed configuration and exit"),
    ("--version", "print the version and exit"),
    ("--completion bash|zsh", "print a script that completes commands, keys and values in this shell"),
)


def help_text(command: Command, topic: str = "", width: int | None = None) -> str:
    """Return the help of a command, or of one of its groups or keys.

    Raises:
        UserError: For an unknown topic; the message names the nearest ones.
    """
    width = width or shutil.get_terminal_size((FALLBACK_WIDTH, 24)).columns
    page = _Page(max(40, width))
    if topic:
        _topic(page, command, topic)
    else:
        _overview(page, command)
    return "\n".join(page.lines).rstrip() + "\n"


def groups(command: Command, *, with_defaults: bool = True) -> list[Group]:
    """Return the groups and keys that a command reads, with the defaults of its file in configs/.

    Those that only other tasks of training read come last.
    """
    shown = _groups(command, command.config, command.load_schema(), with_defaults)
    if command.word == "" and command.door == "train":
        known = {group.name for group in shown}
        for task, schema in list(TASKS.items())[1:]:
            shown += [
                replace(group, meaning=f"{group.meaning} Read with task={task} only.")
                for group in _groups(command, f"train_{task}", schema, with_defaults)
                if group.name not in known
            ]
    return shown


def _groups(command: Command, config: str, schema: type, with_defaults: bool) -> list[Group]:
    defaults = default_values(config) if with_defaults and config else {}
    return [
        Group(group.name, group.meaning, tuple(key for key in group.keys if _reads(command, key.name)))
        for group in groups_of(schema, defaults, command.prefix)
        if not command.reads or not group.name or _reads(command, group.name)
    ]


def _reads(command: Command, name: str) -> bool:
    top = name.removeprefix(command.prefix).partition(".")[0]
    return top not in command.omits and (not command.reads or top in command.reads)


def default_values(config: str) -> dict[str, Any]:
    """Return the values of the groups that configs/CONFIG.yaml chooses, by group."""
    chosen: dict[str, Any] = {}
    for item in _read(f"configs/{config}.yaml").get("defaults", []):
        for group, name in item.items() if isinstance(item, dict) else ():
            if not group.startswith("override") and name in group_choices(group):
                chosen[group] = _read(f"configs/{group}/{name}.yaml")
    return chosen


def group_choices(group: str) -> list[str]:
    """Return the names that can be chosen for a group, ``optim=NAME``; none for a group without files."""
    folders = {"recipe": "recipes", "system": "eval/systems"}
    try:
        folder = resource(folders.get(group, f"configs/{group}"))
    except FileNotFoundError:
        return []
    return sorted(path.stem for path in folder.glob("*.yaml"))


def named_values(command: Command, key: str) -> list[str]:
    """Return the names that a text key accepts, such as the suites of ``suite``; none for free text."""
    if command.word == "record" and key == "suite":
        return sorted(path.stem for path in resource("eval/prompts").glob("*.jsonl"))
    if command.word == "convert" and key == "to":
        return list(LAYOUTS)
    folders = {"suite": "eval/suites", "data.corpus": "data/corpora"}
    if key not in folders:
        return []
    names = sorted(path.stem for path in resource(folders[key]).glob("*.yaml"))
    return ["demo", "open_english", "recordings", "prepared", *names] if key == "data.corpus" else names


def composes_training(command: Command) -> bool:
    """Return whether a command takes recipes."""
    return command.config == "train" or command.door == "sweep"


def _read(name: str) -> dict[str, Any]:
    content = yaml.load(
        resource(name).read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    )
    return content or {}


class _Page:
    """Lines of text at most ``width`` columns wide; a word that is longer stays whole."""

    def __init__(self, width: int) -> None:
        self.width, self.lines = width, list[str]()

    def add(self, text: str = "", indent: int = 0, hanging: int | None = None) -> None:
        """Append a paragraph; ``hanging`` is the indent of all lines but the first."""
        first, later = " " * indent, " " * (indent if hanging is None else hanging)
        self.lines += textwrap.wrap(
            text,
            self.width,
            initial_indent=first,
            subsequent_indent=later,
            break_long_words=False,
            break_on_hyphens=False,
        ) or [""]

    def add_pairs(self, heading: str, pairs: Iterable[tuple[str, str]]) -> None:
        """Append a heading and pairs of a term and its explanation."""
        self.add(heading)
        for term, meaning in pairs:
            self.add(term, 2, 6)
            self.add(meaning, 6)
        self.add()


def _overview(page: _Page, command: Command) -> None:
    page.add(command.summary)
    page.add()
    _usage(page, command)
    page.add_pairs("Examples:", ((f"{command.name} {line}".rstrip(), why) for line, why in command.examples))
    if command.notes:
        page.add(command.notes)
        page.add()
    page.add_pairs("Options:", _options(command))
    others = [other for other in commands_of(command.door).values() if other.word and not command.word]
    if others:
        page.add_pairs("Commands:", ((other.name, other.summary) for other in others))
    if composes_training(command):
        page.add(f"Recipes (+recipe=NAME): {', '.join(group_choices('recipe'))}", hanging=2)
        page.add()
    shown = groups(command)
    if names := [group.name for group in shown if group.name and "." not in group.name]:
        page.add(f"Groups (--help GROUP shows one): {', '.join(names)}", hanging=2)
        page.add()
    for group in shown:
        _group(page, command, group)


def _options(command: Command) -> list[tuple[str, str]]:
    return [pair for pair in OPTIONS if pair[0] != "--cfg" or command.config]


def _usage(page: _Page, command: Command) -> None:
    words = f" [{command.positional.upper()}]" if command.positional else ""
    recipe = " [+recipe=NAME]" if composes_training(command) else ""
    page.add(f"Usage: {command.name}{words}{recipe} [KEY=VALUE ...]", hanging=4)
    page.add()


def _group(page: _Page, command: Command, group: Group) -> None:
    if not group.keys and "." in group.name:
        return
    if group.name:
        page.add(f"{group.name}: {group.meaning}", hanging=2)
        if choices := group_choices(group.name):
            page.add(f"Presets: {group.name}={'|'.join(choices)}", 2, 4)
    elif group.keys:
        page.add("Keys:")
    for key in group.keys:
        _key(page, command, key)
    if group.name or group.keys:
        page.add()


def _key(page: _Page, command: Command, key: Key) -> None:
    choices = list(key.choices or named_values(command, key.name) or group_choices(key.name))
    kind = key.kind if not choices or key.kind.startswith("true") else f"{key.kind}: {', '.join(choices)}"
    page.add(f"{key.name}={key.default}  ({kind})", 2, 6)
    if key.meaning:
        page.add(key.meaning, 6)


def _topic(page: _Page, command: Command, topic: str) -> None:
    """Add the group of that name with the groups inside it, or the keys that have or end in that name."""
    topic = topic.lstrip("+-").partition("=")[0]
    if topic == "recipe" and composes_training(command):
        page.add_pairs("Recipes (+recipe=NAME):", _recipes())
        return
    shown = groups(command)
    inside = [group for group in shown if group.name == topic or group.name.startswith(f"{topic}.")]
    keys = [key for group in shown for key in group.keys]
    named = [key for key in keys if key.name == topic] or [
        key for key in keys if key.name.rpartition(".")[2] == topic
    ]
    for group in inside:
        _group(page, command, group)
    for key in [] if inside else named:
        _key(page, command, key)
    if not inside and not named:
        names = [group.name for group in shown if group.name] + [key.name for key in keys]
        raise UserError(f"{command.name} has no group or key {topic!r}{nearest(topic, names)}")


def nearest(name: str, names: Sequence[str], count: int = 3) -> str:
    """Return ``; did you mean a, b?`` with the names that are most alike, or nothing when none is."""
    last = {candidate.rpartition(".")[2]: candidate for candidate in reversed(names)}
    close = get_close_matches(name, names, count, 0.6)
    close += [last[part] for part in get_close_matches(name.rpartition(".")[2], list(last), count, 0.7)]
    close = list(dict.fromkeys(close))[:count]
    return f"; did you mean {', '.join(close)}?" if close else ""


def _recipes() -> list[tuple[str, str]]:
    """Return each recipe's command with the description in its first comment lines."""
    pairs = []
    for name in group_choices("recipe"):
        comments: list[str] = []
        for line in resource(f"recipes/{name}.yaml").read_text(encoding="utf-8").splitlines()[1:]:
            if not line.startswith("#"):
                break
            comments.append(line.removeprefix("#").strip())
        pairs.append((name, " ".join(comments[1:])))
    return pairs
