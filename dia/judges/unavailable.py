"""A judge that cannot be used here."""

import pickle
from collections.abc import Iterator
from contextlib import contextmanager


class JudgeUnavailable(Exception):
    """The judge cannot be used here; the message says what is missing and how to get it."""


@contextmanager
def loading_judge(what: str, extra: str = "evaluation") -> Iterator[None]:
    """Raise :class:`JudgeUnavailable` for a package that is not installed and for weights that cannot be had.

    ``what`` names the judge. Weights are looked for where the user says, or at the Hugging Face Hub, which a
    machine without a network does not reach.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise JudgeUnavailable(
            f"{what}: {error.name} is not installed; install the extra `{extra}`"
        ) from error
    except (OSError, ValueError, pickle.UnpicklingError) as error:
        # what huggingface_hub and transformers raise where nothing is to be had, and torch for a file that is
        # not tensors alone
        said = " ".join(str(error).split())[:200]
        raise JudgeUnavailable(
            f"{what} cannot be loaded ({said}); give a folder that holds it, or a name at the Hub"
        ) from error
