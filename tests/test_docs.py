"""Every fenced block of README.md and docs/ is composed, run or read.

How a block declares itself. Its language decides; a fence without one fails, and so does an unknown one.

- ```` ```bash ````: each command is checked without running it. Arguments of `python -m dia.X`, `dia-X`,
  `torchrun ... -m dia.X` and `sbatch FILE` are composed as the front door composes them (a recipe, a group,
  a key, a type or a range that does not exist fails); paths are not read, so `runs/nano` or FOLDER need not
  exist. `make` targets, extras of `pip install`, paths of `pytest` and of `bash` must exist. A program that
  tests/documentation.py does not know fails: add it there, or declare the block as free shell text, of which
  only the syntax is checked, by a comment directly above the fence: `<!-- docs-test: shell -->`.
- ```` ```python ````: the blocks of one page run in their order, in one process and one namespace, in a
  folder with the files that `tests/documentation_world.py` lists (the shipped models, `runs/nano`,
  `anna.wav`, a folder `recordings`, a tiny checkpoint in place of `nari-labs/Dia-1.6B-0626`). A block that
  needs a GPU or the network is preceded by `<!-- docs-test: gpu -->` or `<!-- docs-test: network -->`: its
  syntax and its imports of dia are checked. What a reader need not see is run before the next block, from a
  comment: `<!-- docs-test: setup`, a line break, the Python lines, `-->`.
- ```` ```yaml ````, `json`, `jsonl`, `toml`: parsed. With a title (```` ```yaml title="acme.yaml" ````) it is
  a file that the commands of the page read. `text`, `csv`, `mermaid`: not checked.
"""

import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from tests.documentation import (
    DIRECTIVES,
    PAGES,
    ROOT,
    Block,
    bash_problems,
    blocks,
    command_problem,
    commands,
    data_problems,
    import_problems,
)
from tests.documentation_world import run_page, write_world
from tests.processes import start_process

DATA = ("yaml", "json", "jsonl", "toml")
UNCHECKED = ("text", "csv", "mermaid")
WITH_PYTHON = [page for page in PAGES if any(block.language == "python" for block in blocks(page))]


def name_of(page):
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_declares_itself(page):
    problems = []
    for block in blocks(page):
        if block.language not in ("bash", "python", *DATA, *UNCHECKED):
            problems.append(f"{block.place}: {block.language or 'no language'} is not one that is checked")
        if block.directive and block.directive not in DIRECTIVES.get(block.language, ()):
            problems.append(f"{block.place}: docs-test: {block.directive} means nothing for {block.language}")
        if block.language in UNCHECKED and re.search(r"^(python -m dia\.|dia-)", block.text, re.MULTILINE):
            problems.append(f"{block.place}: a command belongs in a bash block")
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_composes(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for block in blocks(page):
        if block.title and block.language in DATA:
            Path(block.title).write_text(block.text)
    problems = [
        problem for block in blocks(page) if block.language == "bash" for problem in bash_problems(block)
    ]
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_data_block_can_be_read(page):
    problems = [
        problem for block in blocks(page) if block.language in DATA for problem in data_problems(block)
    ]
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("page", WITH_PYTHON, ids=name_of)
def test_every_python_block_runs(page, tmp_path):
    python = [block for block in blocks(page) if block.language == "python"]
    problems = [problem for block in python if block.directive for problem in import_problems(block)]
    assert not problems, "\n".join(problems)
    environment = write_world(tmp_path)
    script = [(block.line, block.setup, block.text) for block in python if not block.directive]
    done = start_process(run_page, str(page), script, cwd=tmp_path / "work", environment=environment).wait()
    assert done.returncode == 0, done.stderr[-3_000:]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_line_is_repeated(page):
    """A merge may leave a row of a table or a command twice."""
    lines = page.read_text(encoding="utf-8").splitlines()
    assert not [line for line, following in pairwise(lines) if line == following and len(line) > 10]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_inside_the_repository_has_its_target(page):
    text = re.sub(
        r"^\s*(`{3,}).*?^\s*\1\s*$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    targets = re.findall(r"\]\(([^)\s]+)[^)]*\)", text) + re.findall(r'(?:src|href)="([^"]+)"', text)
    inside = [target.partition("#")[0] for target in targets if not re.match(r"[a-z]+:|#", target)]
    missing = [target for target in inside if not (page.parent / target).exists()]
    assert not missing, f"{name_of(page)} links to {', '.join(missing)}"


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("python -m dia.train +recipe=base trainer.stepz=3", "stepz"),
        ("python -m dia.train +recipe=bases", "there is no recipe"),
        ("torchrun --nproc-per-node=8 -m dia.train +recipe=base trainer=fsdp3", "fsdp3"),
        ("python -m dia.train trainer.steps=-1", "trainer.steps=-1"),
        ("python -m dia.sweep +recipe=nano sweep.trails=3", "trails"),
        ("dia-eval record system=elevenlab suite=my.jsonl", "elevenlab"),
        ("dia-weights convert x", "out=... is missing"),
        ("dia-evaluate ckpt=x", "there is no dia.evaluate"),
        ("make tset", "no target tset"),
        ("pip install 'dia-framework[evaluations]'", "no extra evaluations"),
        ("pytest tests/gone", "tests/gone"),
        ("frobnicate --now", "frobnicate is a program"),
    ],
)
def test_a_wrong_command_is_reported(command, problem):
    (words,) = commands(command)
    assert problem in command_problem(words)


def test_commands_are_split_as_a_shell_does():
    text = "cd x && A=1 python -m dia.train 'a=[1, 2]' \\\n  b=c > log 2>&1  # why\n\nnohup make demo &\n"
    assert list(commands(text)) == [
        ["cd", "x"],
        ["python", "-m", "dia.train", "a=[1, 2]", "b=c"],
        ["make", "demo"],
    ]


def test_a_block_carries_its_directive_and_its_setup(tmp_path):
    page = ROOT / "imaginary.md"
    text = "<!-- docs-test: setup\nx = 1\n-->\n```python\nx\n```\n\n"
    text += "<!-- docs-test: gpu -->\n``` python\ny\n```\n"
    from tests.documentation import _blocks

    assert list(_blocks(page, text.splitlines())) == [
        Block(page, 5, "python", "x\n", "", "x = 1\n"),
        Block(page, 10, "python", "y\n", "gpu", ""),
    ]


def test_the_site_builds_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3_000:]
    assert (tmp_path / "site" / "index.html").is_file()


@pytest.mark.parametrize(
    "card", sorted((ROOT / "data" / "models").glob("*/README.md")), ids=lambda path: path.parent.name
)
def test_every_command_of_a_model_card_composes(card):
    inline = re.findall(r"`(python -m dia\.[^`]+)`", card.read_text(encoding="utf-8"))
    problems = [
        problem
        for text in inline
        for words in commands(text.replace("\n", " "))
        if (problem := command_problem(words))
    ]
    assert inline and not problems, "\n".join(problems)
