"""The exception for judges whose package or weights are not available on this machine."""

import pickle
from collections.abc import Iterator
from contextlib import contextmanager


class JudgeUnavailable(Exception):
    """A judge is not available; the message contains what is missing and how to get it."""


@contextmanager
def loading_judge(what: str, extra: str = "evaluation") -> Iterator[None]:
    """Turn errors of loading the judge ``what`` into :class:`JudgeUnavailable`.

    These are missing packages, named with the ``extra`` that installs them, and weights that are missing,
    damaged, or unreachable on the Hugging Face Hub.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise JudgeUnavailable(
            f"{what}: {error.name} is not installed; install the extra `{extra}`"
        ) from error
    except (OSError, ValueError, pickle.UnpicklingError) as error:
        # huggingface_hub and transformers raise OSError and ValueError, torch UnpicklingError for files
        # with other content than tensors
        message = " ".join(str(error).split())[:200]
        raise JudgeUnavailable(
            f"{what} cannot be loaded ({message}); give its folder, or its name on the Hub"
        ) from error
