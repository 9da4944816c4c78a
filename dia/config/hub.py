"""Names of checkpoints on the Hugging Face Hub: `owner/name`, `owner/name@revision`, `owner/name/file`.

The notation is that of `HfFileSystem`, whose prefix `hf://` is accepted too.
"""

import re
from dataclasses import dataclass

WEIGHTS_ENDINGS = (".safetensors", ".pth", ".pt", ".ckpt")
_ENDING = "|".join(ending[1:] for ending in WEIGHTS_ENDINGS)
HUB_PATH = re.compile(
    r"(?:hf://)?"
    r"(?P<repository>\w[\w.-]*/\w[\w.-]*)"
    r"(?:@(?P<revision>refs/pr/\d+|[^/@\s]+))?"
    rf"(?:/(?P<file>[^@\s]+\.(?:{_ENDING})))?"
)


@dataclass(frozen=True)
class HubPath:
    """A repository of the Hub; a revision (None: the main branch) and a weights file in it (None: chosen)."""

    repository: str
    revision: str | None = None
    file: str | None = None


def parse_hub_path(text: str) -> HubPath | None:
    """Return the parts of a name such as ``owner/name@revision/file.safetensors``; None for another text."""
    match = HUB_PATH.fullmatch(text)
    if match is None or ".." in (match["file"] or "").split("/"):
        return None
    return HubPath(match["repository"], match["revision"], match["file"])
