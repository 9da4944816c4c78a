"""The structure and the language of the package, held by tests.

Imports point one way; declarations hold no Python; files stay small; modules and public names are explained
and annotated; names are the field's; the package and its configuration are imported without torch.
"""

import ast
import io
import re
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

from tests.conftest import LONGEST

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "dia").rglob("*.py"))
PRIVATE_WORDS = {"told", "tell", "tells", "asked", "asks", "kept", "heard", "chance", "found"}
# names of files in the private dialect that the package once had
OLD_FILES = {
    "asking", "averaging", "dialect", "guards", "hearing", "initial", "kept", "lean", "measuring",
    "memory_trace", "observing", "opened", "opening", "pictures", "remedies", "speaking", "stalls",
    "trained", "truth", "waves", "wire", "written", "codecs/detail", "data/clips", "data/page",
    "training/gradients", "training/head", "training/memory", "pipelines/start",
}  # fmt: skip
OLD_NAMES = {
    "Asked", "Facts", "Heard", "INDIFFERENT", "Kept", "KeepCheckpoints", "Part", "TELLING", "alone_in",
    "claim", "started",
}  # fmt: skip


def test_imports_point_one_way():
    linter = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([linter], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_declarations_hold_no_python():
    assert not [
        path for folder in ("data", "eval", "configs", "recipes") for path in (ROOT / folder).rglob("*.py")
    ]


def test_files_stay_small():
    assert not [path for path in SOURCES if len(path.read_text().splitlines()) > 350]


def public_definitions(path):
    """Public classes and functions of a module, and public methods of its public classes."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from (
                    item
                    for item in node.body
                    if isinstance(item, ast.FunctionDef) and not item.name.startswith("_")
                )


def test_public_names_are_explained_and_annotated():
    problems = []
    for path in SOURCES:
        for node in public_definitions(path):
            if not ast.get_docstring(node):
                problems.append(f"{path.name}:{node.lineno} {node.name} has no docstring")
            if isinstance(node, ast.FunctionDef):
                arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                bare = [
                    item.arg
                    for item in arguments
                    if item.annotation is None and item.arg not in ("self", "cls")
                ]
                if bare or node.returns is None:
                    problems.append(f"{path.name}:{node.lineno} {node.name} lacks annotations {bare}")
    assert not problems, "\n".join(problems)


def names_in(path):
    """Identifiers of a file with their lines, without strings, comments and attributes of other libraries."""
    before = ""
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        if token.type == tokenize.NAME and not (before == "." and token.string == "tell"):  # of a file
            yield token.string, token.start[0]
        before = token.string


def test_a_module_begins_with_one_sentence():
    problems = []
    for path in SOURCES:
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")), clean=False) or ""
        first, *rest = docstring.split("\n")
        if not first.endswith(".") or len(first) > 107 or (rest and rest[0].strip()):
            problems.append(f"{path.relative_to(ROOT)}: {first!r}")
    assert not problems, "\n".join(problems)


def test_names_are_the_fields_own():
    problems = [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in SOURCES
        for name, line in names_in(path)
        if name in PRIVATE_WORDS
    ]
    problems += [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in OLD_NAMES
    ]
    assert not problems, "\n".join(problems)


def test_files_have_the_fields_names():
    names = [path.relative_to(ROOT / "dia").with_suffix("") for path in SOURCES]
    assert not [name for name in names if name.name in OLD_FILES or "/".join(name.parts[-2:]) in OLD_FILES]


@pytest.mark.parametrize("module", ["dia", "dia.config", "dia.config.compose", "dia.config.train"])
def test_the_configuration_is_imported_without_torch(module):
    heavy = "{'torch', 'lightning', 'transformers', 'datasets', 'scipy', 'pandas'}"
    code = f"import sys, {module}; print(*sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and not done.stdout.strip(), done.stdout + done.stderr


def test_the_types_of_the_package_are_published():
    assert (ROOT / "dia" / "py.typed").is_file()


def test_nothing_names_a_registry_or_a_workplace():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    pattern = re.compile(r"(?<![\w.])/(?:work|root|Users)/\w|/tmp/h[\w-]|pypi\.org|extra-index-url https")
    named = [
        name
        for name in listed.stdout.splitlines()
        if name.endswith((".py", ".md", ".yaml", ".yml", ".toml", ".sh", "Makefile", "run", ".txt"))
        and name != "tests/test_architecture.py"
        and pattern.search((ROOT / name).read_text(encoding="utf-8", errors="replace"))
    ]
    assert not named


def test_the_slow_files_exist():
    missing = [name for name in LONGEST if not (ROOT / name).is_file()]
    assert not missing, f"tests/conftest.py::LONGEST names {', '.join(missing)}"
