"""Where the audio of a row lies: relative to the table, in a usual subfolder, in an archive, or outside."""

import os
import tarfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from dia.audio.formats import READABLE, is_audio_name
from dia.errors import UserError, one_line

SUBFOLDERS = (
    "wavs",
    "wav",
    "audio",
    "clips",
    "audios",
    "waves",
    "sounds",
)  # LJSpeech, Common Voice and others


@dataclass(frozen=True)
class ArchiveMember:
    """A file in a tar archive: ``offset`` and ``size`` of its bytes, and its name there."""

    archive: Path
    offset: int
    size: int
    path: str

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that hold the audio."""
        return (self.archive,)

    def read(self) -> bytes:
        """Return the bytes of the file."""
        with self.archive.open("rb") as file:
            file.seek(self.offset)
            return file.read(self.size)


@dataclass
class AudioPaths:
    """Finds the audio that the rows of a folder's tables name.

    With ``guess`` a name may lack its ending and its subfolder (LJSpeech). ``archives`` is a glob pattern of
    tar files that hold files which are not unpacked.
    """

    folder: Path
    guess: bool = False
    archives: str | None = None
    _last: tuple[str, str] = ("", "")
    _members: dict[str, ArchiveMember] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self._root = self.folder.resolve()

    def find(self, name: str, table: Path) -> Path | ArchiveMember:
        """Return the audio of a row: its absolute path, also where no file is, or a file in an archive.

        Raises :class:`UserError` for an address of the web.
        """
        if "://" in name:
            raise UserError(f"{name} is an address; download the file, and name it relative to the table")
        for written in dict.fromkeys((name, name.replace("\\", "/"))):
            if path := self.existing(written, table.parent):
                return path
        if self.archives and (member := self._archive_members().get(PurePosixPath(name).name)):
            return member
        return self._absolute(self.folder / name.replace("\\", "/"))

    def is_inside(self, path: Path) -> bool:
        """Return whether a path lies in the folder after its links are followed."""
        return path.resolve().is_relative_to(self._root)

    def existing(self, name: str, beside: Path) -> Path | None:
        """Return the file of this name: beside the table, in the folder, or guessed; None without one."""
        for base in dict.fromkeys((beside, self.folder)):
            if os.path.lexists(base / name):
                return self._absolute(base / name)
        if not self.guess:
            return None
        endings = ("",) if is_audio_name(name) else ("", *READABLE)
        guesses = [(place, ending) for place in ("", *SUBFOLDERS) for ending in endings]
        for place, ending in dict.fromkeys((self._last, *guesses)):
            for base in dict.fromkeys((beside, self.folder)):
                path = base / place / f"{name}{ending}"
                if os.path.isfile(path):
                    self._last = (place, ending)
                    return self._absolute(path)
        return None

    @staticmethod
    def _absolute(path: Path) -> Path:
        """The path without `..`; links are not followed, so that names stay those of the table."""
        return Path(os.path.normpath(path))

    def _archive_members(self) -> dict[str, ArchiveMember]:
        """The files in all archives by name, with the place of their bytes."""
        if self._members is None:
            self._members = {}
            for path in sorted(self.folder.glob(self.archives or "")):
                self._members |= _members_of(path)
        return self._members


def _members_of(path: Path) -> dict[str, ArchiveMember]:
    """The regular files of a tar archive, not unpacked. Raises :class:`UserError` for a damaged one."""
    try:
        with tarfile.open(path, "r:") as archive:
            return {
                PurePosixPath(member.name).name: ArchiveMember(
                    path, member.offset_data, member.size, member.name
                )
                for member in archive
                if member.isreg()
            }
    except (tarfile.TarError, OSError) as error:
        raise UserError(f"{path} is a damaged archive ({one_line(error)}); download it again") from error
