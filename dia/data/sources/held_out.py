"""A validation split for corpora without one: a share of the clips, by speaker or by recording."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

MANY_SPEAKERS = 20  # from here on whole speakers are held out; with fewer, too much would be


@dataclass(frozen=True)
class HeldOut:
    """Which groups of clips are held out: those whose hash is below ``share``, and ``extra``.

    A group is a speaker if ``by_speaker``, else a recording, so that clips of one never lie in two splits. A
    group's split depends on its name alone: new recordings do not move others.
    """

    share: float
    by_speaker: bool = False
    extra: str = ""

    @classmethod
    def plan(cls, groups: Iterable[tuple[str, str]], share: float) -> "HeldOut":
        """Return which of the groups (recording, speaker) of all training clips are held out, at least one.

        A corpus of one group has none to hold out.
        """
        recordings, speakers = set[str](), set[str]()
        for recording, speaker in groups:
            recordings.add(recording)
            speakers.add(speaker)
        by_speaker = "" not in speakers and len(speakers) >= MANY_SPEAKERS
        names = speakers if by_speaker else recordings
        if len(names) < 2 or any(position(name) < share for name in names):
            return cls(share, by_speaker)
        return cls(share, by_speaker, min(names, key=position))

    def holds(self, group: tuple[str, str]) -> bool:
        """Return whether the clips of a group are held out."""
        name = group[1] if self.by_speaker else group[0]
        return position(name) < self.share or (bool(self.extra) and name == self.extra)


def position(name: str) -> float:
    """Return a number in 0..1 that depends on a name only."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def is_held_out(name: str, share: float) -> bool:
    """Return whether a name belongs to the held-out ``share``; it depends on the name alone."""
    return position(name) < share
