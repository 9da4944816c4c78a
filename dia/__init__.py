"""Open research framework for Dia-class dialogue speech models: data, training, inference, evaluation.

``from dia import Dia`` opens a checkpoint and generates speech. Importing the package imports no library.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dia.model import Dia

    __version__: str

DISTRIBUTION = "dia-framework"
__all__ = ["Dia", "__version__"]


def __getattr__(name: str) -> Any:
    """Import ``Dia``, or read the version, when it is first used (PEP 562)."""
    if name == "Dia":
        from dia.model import Dia

        return Dia
    if name == "__version__":
        return _version()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _version() -> str:
    """Return the version of the installed distribution, or that of the checkout when it is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        import tomllib
        from pathlib import Path

        project = Path(__file__).parent.parent / "pyproject.toml"
        return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])
