"""Fenced blocks of README.md and docs/**/*.md, and the checks of the commands in them."""

import importlib
import json
import re
import shlex
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from dia import sweep
from dia.cli.arguments import choose_command, name_words
from dia.cli.plain import parse_plain
from dia.cli.run import information, read_config
from dia.config.train import TrainConfig
from dia.errors import UserError
from dia.pipelines.check_config import complete, validate
from dia.resources import SHIPPED_CHECKPOINTS

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
DIRECTIVES = {"bash": {"shell"}, "python": {"network", "gpu"}}
DOORS = ("train", "eval", "generate", "prepare", "sweep", "bench", "weights", "voice", "serve")
PLAIN = {
    "apt-get", "cat", "cd", "cp", "curl", "docker", "du", "echo", "eval", "exit", "export", "git", "head",
    "ls",    "mkdir", "mkdocs", "mypy", "nvidia-smi", "open", "pre-commit", "rm", "ruff", "source", "squeue",
    "scancel", "tail", "tar", "tensorboard", "unzip", "wandb", "wget", "xdg-open", ".", "lint-imports",
    "ssh", "scp", "rsync", "which",
}  # fmt: skip
PREFIXES = {"sudo", "time", "nohup", "exec", "nice"}


@dataclass(frozen=True)
class Block:
    """A fenced block: its page, the line of its first line of text, language, text, and what declares it."""

    page: Path
    line: int
    language: str
    text: str
    directive: str = ""
    setup: str = ""
    title: str = ""

    @property
    def place(self) -> str:
        """Page and line."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page. Raises :class:`ValueError` for a fence that is never closed."""
    return list(_blocks(page, page.read_text(encoding="utf-8").splitlines()))


def _blocks(page: Path, lines: list[str]) -> Iterator[Block]:
    number, directive, setup = 0, "", ""
    while number < len(lines):
        line = lines[number].strip()
        if line.startswith("<!-- docs-test"):
            last = next(place for place in range(number, len(lines)) if "-->" in lines[place])
            comment = "\n".join(lines[number : last + 1]).strip()
            content = comment.removeprefix("<!-- docs-test").removesuffix("-->").removeprefix(":")
            if content.strip().partition("\n")[0].strip() == "setup":
                setup += content.strip().partition("\n")[2] + "\n"
            else:
                directive = content.strip()
            number = last + 1
        elif fence := re.match(r"(\s*)(`{3,})(.*)", lines[number]):
            closing = (
                place for place in range(number + 1, len(lines)) if lines[place].strip() == fence.group(2)
            )
            end = next(closing, None)
            if end is None:
                raise ValueError(f"{page.name}:{number + 1} opens a fence that is never closed")
            indent = len(fence.group(1))
            text = "\n".join(item[indent:] for item in lines[number + 1 : end]) + "\n"
            language = re.split(r"[\s{]", fence.group(3).strip() + " ")[0]
            titled = re.search(r'title="([^"]+)"', fence.group(3))
            title = titled.group(1) if titled else ""
            yield Block(page, number + 2, language, text, directive, setup, title)
            number, directive, setup = end + 1, "", ""
        else:
            number += 1


def commands(text: str) -> Iterator[list[str]]:
    """Yield the commands of a shell text as words, without comments, redirections and leading variables."""
    for line in re.sub(r"\d?>&\d", " ", text.replace("\\\n", " ")).splitlines():
        lexer = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars=";&|")
        lexer.whitespace_split, lexer.commenters = True, "#"
        words: list[str] = []
        for word in [*lexer, ";"]:
            if word and set(word) <= set(";&|"):
                if command := _bare(words):
                    yield command
                words = []
            else:
                words.append(word)


def _bare(words: list[str]) -> list[str]:
    while words and (re.match(r"[A-Z_]+=", words[0]) or words[0] in PREFIXES):
        words = words[1:]
    redirected = next((place for place, word in enumerate(words) if re.match(r"\d?>", word)), len(words))
    return words[:redirected]


def command_problem(words: list[str]) -> str | None:
    """Return what is wrong with a command of the documentation, or None."""
    program, arguments = words[0], words[1:]
    if program in ("python", "python3", "torchrun", "srun", "uv") and "-m" in arguments:
        place = arguments.index("-m")
        module, rest = arguments[place + 1], arguments[place + 2 :]
        if module.startswith("dia."):
            return door_problem(module.removeprefix("dia."), rest)
        return None if module in ("venv", "pip", "pytest", "http.server") else f"no check for -m {module}"
    if program.startswith("dia-"):
        return door_problem(program.removeprefix("dia-"), arguments)
    if program == "sbatch":
        return _missing(arguments[:1]) or door_problem("train", arguments[1:])
    check = CHECKS.get(re.sub(r"3(\.\d+)?$", "", program))
    if check is not None:
        return check(arguments)
    return None if program in PLAIN else f"{program} is a program that tests/documentation.py does not know"


def door_problem(door: str, arguments: list[str]) -> str | None:
    """Return why a front door would refuse its command line, or None. Nothing is run, no path is read."""
    if door not in DOORS:
        return f"there is no dia.{door}; there are {', '.join(DOORS)}"
    try:
        if information(door, arguments) is None:  # help, version and completion read no configuration
            _compose_door(door, [_without_file(argument) for argument in arguments if argument != "--cfg"])
    except UserError as error:
        return f"dia.{door}: {error}"
    return None


def _compose_door(door: str, arguments: list[str]) -> None:
    if door in ("weights", "voice"):
        parse_plain(door, arguments)
        return
    if door == "sweep":
        door, arguments = "train", sweep.read_arguments(arguments)[1]
    command, rest = choose_command(door, arguments)
    config = read_config(command, name_words(command, rest))
    if isinstance(config, TrainConfig) and config.init_from in ("", *SHIPPED_CHECKPOINTS):
        validate(complete(config))  # the shape of another checkpoint would be read from its files


def _without_file(argument: str) -> str:
    """Return a script that would be read from a file or from standard input as a script."""
    return "[S1] Hello." if argument == "-" else re.sub(r"^text=[@-].*", "text=[S1] Hello.", argument)


def _missing(paths: list[str]) -> str | None:
    missing = [path for path in paths if not (ROOT / path.partition("::")[0]).exists()]
    return f"missing from the repository: {', '.join(missing)}" if missing else None


def _make_problem(arguments: list[str]) -> str | None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    wrong = [
        word for word in arguments if "=" not in word and not word.startswith("-") and word not in targets
    ]
    return f"the Makefile has no target {', '.join(wrong)}" if wrong else None


def _pip_problem(arguments: list[str]) -> str | None:
    with open(ROOT / "pyproject.toml", "rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    named = [
        extra.strip()
        for word in arguments
        if (match := re.match(r"(?:dia-framework|\.)\[(.*)\]", word))
        for extra in match.group(1).split(",")
    ]
    wrong = [extra for extra in named if extra not in extras]
    return f"pyproject.toml has no extra {', '.join(wrong)}" if wrong else None


def _pytest_problem(arguments: list[str]) -> str | None:
    return _missing([word for word in arguments if word.startswith("tests")])


def _first_file(arguments: list[str]) -> str | None:
    return _missing(arguments[:1])


CHECKS: dict[str, Callable[[list[str]], str | None]] = {
    "make": _make_problem,
    "pip": _pip_problem,
    "uv": _pip_problem,
    "pytest": _pytest_problem,
    "bash": _first_file,
    "python": _first_file,
}


def bash_problems(block: Block) -> list[str]:
    """Return what is wrong with a bash block: its syntax, and each command unless it is a free shell text."""
    checked = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True)
    problems = [checked.stderr.strip()] if checked.returncode else []
    if block.directive != "shell" and not problems:
        problems = [problem for words in commands(block.text) if (problem := command_problem(words))]
    return [f"{block.place}: {problem}" for problem in problems]


def import_problems(block: Block) -> list[str]:
    """Return what is wrong with a Python block that cannot be run here: its syntax, its imports of dia."""
    try:
        compile(block.text, block.place, "exec")
    except SyntaxError as error:
        return [f"{block.place}: {error}"]
    problems = []
    for line in re.findall(r"^\s*(from dia[\w.]* import .*|import dia[\w.]*)", block.text, re.MULTILINE):
        match = re.match(r"from (\S+) import \(?(.*?)\)?$", line.strip())
        module = importlib.import_module(match.group(1) if match else line.split()[1])
        names = [name.split(" as ")[0].strip() for name in match.group(2).split(",")] if match else []
        problems += [
            f"{block.place}: {module.__name__} has no {name}" for name in names if not hasattr(module, name)
        ]
    return problems


def data_problems(block: Block) -> list[str]:
    """Return why a YAML, JSON, JSONL or TOML block cannot be read."""
    readers: dict[str, Callable[[str], object]] = {
        "yaml": yaml.safe_load,
        "json": json.loads,
        "jsonl": lambda text: [json.loads(line) for line in text.splitlines() if line.strip()],
        "toml": tomllib.loads,
    }
    try:
        readers[block.language](block.text)
    except (ValueError, yaml.YAMLError) as error:
        return [f"{block.place}: {error}"]
    return []
