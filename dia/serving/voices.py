"""The folder of voice files that clients name, and how a recording becomes one."""

import re
from pathlib import Path

from dia.errors import UserError
from dia.files import make_folder
from dia.inference.voice import Voice

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
NO_VOICE = "default"  # the model chooses
# names of Dia-TTS-Server (devnen) for that: a script, or words that the first or second speaker speaks
SPEAKERS = {"dialogue": 1, "S1": 1, "S2": 2}
SUFFIX = ".voice"


class VoiceFolder:
    """Voices by name. A name has letters, digits, `_` and `-` only, so that none leaves the folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._opened = dict[str, tuple[tuple[int, int], Voice]]()

    def names(self) -> list[str]:
        """Return the names of all voices, sorted."""
        paths = self.folder.glob(f"*{SUFFIX}") if self.folder.is_dir() else ()
        return sorted(path.stem for path in paths if NAME.fullmatch(path.stem) and path.is_file())

    def open(self, name: str) -> Voice | None:
        """Return a voice; None for ``default`` and, unless there are voices of these names, ``SPEAKERS``.

        Raises:
            UserError: For a name without a file, and for a damaged file.
        """
        if name == NO_VOICE:
            return None
        if name not in self.names():
            if name in SPEAKERS:
                return None
            known = ", ".join([NO_VOICE, *self.names()])
            raise UserError(f"there is no voice {name[:64]!r}; choose one of {known}")
        path = self.folder / f"{name}{SUFFIX}"
        status = path.stat()
        version = status.st_mtime_ns, status.st_size
        if name not in self._opened or self._opened[name][0] != version:
            self._opened[name] = version, Voice.load(path)
        return self._opened[name][1]

    def save(self, name: str, voice: Voice, replace: bool) -> None:
        """Write a voice atomically.

        Raises:
            UserError: For a name that is not allowed or taken.
            StorageError: When the folder cannot be written.
        """
        if not NAME.fullmatch(name) or name == NO_VOICE:
            raise UserError(
                f"{name[:64]!r} cannot be the name of a voice; use up to 64 letters, digits, '_' and '-' "
                f"({NO_VOICE} is the model's own voice)"
            )
        if not replace and name in self.names():
            raise UserError(f"the voice {name!r} exists; choose another name, or send replace=true")
        make_folder(self.folder)
        voice.save(self.folder / f"{name}{SUFFIX}")
