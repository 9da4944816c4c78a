"""The house: imports point one way, declarations hold no Python, everything public is annotated and
explained.
"""

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "dia").rglob("*.py"))


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
