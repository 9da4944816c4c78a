"""Download a checkpoint from the Hugging Face Hub: only the files that are opened, of the chosen revision.

The Hub's client takes an access token from the environment (`HF_TOKEN`) or from an argument; it is sent to
the Hub and neither stored nor shown here.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from dia.checkpoint.files import read_json
from dia.checkpoint.names import CODEC_BESIDE, CONFIG, GENERATION, INDEX, VOCABULARY, WEIGHTS, choose_weights
from dia.config.hub import WEIGHTS_ENDINGS, HubPath
from dia.errors import UnavailableError

CODEC_FILES = [f"{CODEC_BESIDE}/{name}" for name in (CONFIG, WEIGHTS)]


@dataclass(frozen=True)
class Selection:
    """Which weights file is opened, of which revision, and the access token of a private repository.

    None chooses the file, takes the main branch, and takes the token from the environment.
    """

    file: str | None = None
    revision: str | None = None
    token: str | bool | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Repository:
    """A repository of the Hub at a revision, opened with an access token."""

    hub: HubPath
    token: str | bool | None = field(default=None, repr=False)

    def download(self, *, weights: bool) -> tuple[Path, list[Path]]:
        """Return the folder of the downloaded snapshot and its weights files, none without ``weights``.

        Raises:
            UnavailableError: When the repository, the revision or the file does not exist or cannot be
                downloaded.
            UserError: When it holds several checkpoints.
        """
        if not weights:
            return self._snapshot([CONFIG]), []
        folder = self._snapshot([CONFIG, GENERATION, INDEX, VOCABULARY, *CODEC_FILES])
        names = [self.hub.file] if self.hub.file else self._weights_names(folder)
        files = [self._snapshot(names) / name for name in names]
        if missing := [path.name for path in files if not path.is_file()]:
            raise UnavailableError(f"{self} holds no file {', '.join(missing)}; check its name on the Hub")
        return folder, files

    def _weights_names(self, folder: Path) -> list[str]:
        chosen = choose_weights(self._names(folder), str(self))
        if chosen is None:
            raise UnavailableError(
                f"{self} holds no weights ({', '.join(f'*{ending}' for ending in WEIGHTS_ENDINGS)}); give "
                "another checkpoint"
            )
        if chosen == INDEX:
            return sorted(set(read_json(folder / INDEX).get("weight_map", {}).values()))
        return [chosen]

    def _names(self, folder: Path) -> Iterable[str]:
        """Return the names of the weights on the Hub, or without a connection those in the cache."""
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import DryRunError

        if (folder / INDEX).is_file():
            return [INDEX]
        patterns = [f"*{ending}" for ending in WEIGHTS_ENDINGS]
        try:
            listed = snapshot_download(
                self.hub.repository,
                revision=self.hub.revision,
                token=self.token,
                allow_patterns=patterns,
                dry_run=True,
            )
        except (DryRunError, OSError):
            return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
        return [file.filename for file in listed]

    def _snapshot(self, patterns: list[str]) -> Path:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import (
            HfHubHTTPError,
            LocalEntryNotFoundError,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )

        try:
            return Path(
                snapshot_download(
                    self.hub.repository,
                    revision=self.hub.revision,
                    token=self.token,
                    allow_patterns=patterns,
                )
            )
        except RepositoryNotFoundError as error:
            raise UnavailableError(
                f"{self} does not exist on the Hub, or is private or gated; check the name, accept its terms "
                "there, and set HF_TOKEN or give token=..."
            ) from error
        except RevisionNotFoundError as error:
            raise UnavailableError(f"{self} has no such revision; check it on the Hub") from error
        except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
            raise UnavailableError(
                f"{self} is no folder here and cannot be downloaded from the Hub ({type(error).__name__}); "
                "check name and network"
            ) from error

    def __str__(self) -> str:
        return self.hub.repository + (f"@{self.hub.revision}" if self.hub.revision else "")
