"""Pairs from the votes of a listening test: of each script the take that more listeners preferred.

The audio is encoded again, because a recorded run has no codes.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dia.codecs.protocol import Codec
from dia.config.data import DataConfig
from dia.config.engine import EngineConfig
from dia.data.sources.held_out import is_held_out
from dia.dialogue import Script
from dia.errors import UserError
from dia.files import file_sha256
from dia.listening_test.answers import CollectedAnswers, Vote, read_answers
from dia.listening_test.read_runs import RecordedRun, read_runs
from dia.pipelines.preferences.audio_pairs import AudioPairs
from dia.pipelines.preferences.rows import PairAudio, PairSource

VERSION = 1  # raise when the same request yields other pairs
LICENCE = "other"  # of recorded takes, which state none


class ListenerVotes:
    """Pairs of votes; see :class:`dia.pipelines.preferences.prepare.PairSource`.

    Raises :class:`UserError` for damaged answers, and for systems of the test without their run.
    """

    def __init__(self, config: DataConfig, codec: Codec) -> None:
        self.config, self.settings = config, config.preferences
        self.pairs = AudioPairs(config, codec)
        self.answers: CollectedAnswers = read_answers(
            list(self.settings.votes), self.settings.key, self.settings.minimum_checks
        )
        self.runs = _runs_by_system(self.answers, read_runs(list(self.settings.runs)))

    def request(self) -> dict[str, Any]:
        """Return everything that the pairs depend on."""
        return {
            "votes": sorted(file_sha256(Path(path)) for path in self.settings.votes),
            "key": file_sha256(Path(self.settings.key)),
            "runs": {name: run.outputs_sha256 for name, run in sorted(self.runs.items())},
            "minimum_checks": self.settings.minimum_checks,
            "version": VERSION,
        }

    def rows(self, engine: EngineConfig) -> tuple[dict[str, list[dict[str, Any]]], Counter[str], list[Any]]:
        """Return the rows by split, counts, and takes that cannot be read (none: they were verified)."""
        rows: dict[str, list[dict[str, Any]]] = {"train": [], "validation": []}
        counts = Counter[str]()
        by_pair: dict[tuple[str, str, str], list[Vote]] = {}
        for vote in self.answers.votes:
            by_pair.setdefault((vote.prompt_id, vote.first, vote.second), []).append(vote)
        for (prompt_id, first, second), votes in sorted(by_pair.items()):
            margin = sum(vote.outcome for vote in votes) / len(votes)
            if not margin:
                counts["pairs: ties"] += 1
                continue
            names = (first, second) if margin > 0 else (second, first)
            split = "validation" if is_held_out(prompt_id, self.config.held_out) else "train"
            rows[split].append(self._row(split, prompt_id, names, abs(margin), len(votes)))
            counts["pairs: preferred by listeners"] += 1
        counts["listeners: failed their checks"] = len(self.answers.failed)
        return rows, counts, []

    def _row(
        self, split: str, prompt_id: str, names: tuple[str, str], margin: float, votes: int
    ) -> dict[str, Any]:
        clips = [self.runs[name].clips[prompt_id] for name in names]
        chosen, rejected = (clip.path for clip in clips)
        assert chosen and rejected, "a clip of a comparison has audio"
        source = PairSource(
            f"{prompt_id}-{'-'.join(names)}",
            "listening test",
            LICENCE,
            False,
            Script.parse(clips[0].script),
        )
        return self.pairs.row(
            source,
            split,
            PairAudio.read(chosen, rejected),
            prompt_id=prompt_id,
            margin=margin,
            origin=f"listeners ({votes} votes: {self.answers.question})",
        )


def _runs_by_system(answers: CollectedAnswers, runs: Sequence[RecordedRun]) -> dict[str, RecordedRun]:
    """Return the run of each system of the key, identified by the checksum of its rows."""
    by_checksum = {run.outputs_sha256: run for run in runs}
    by_system = {
        name: by_checksum[described["outputs_sha256"]]
        for name, described in answers.systems.items()
        if described["outputs_sha256"] in by_checksum
    }
    if missing := sorted(answers.systems.keys() - by_system.keys()):
        raise UserError(
            f"data.preferences.runs lacks the recordings of {', '.join(missing)}; give the run folders that "
            "the listening test was built from, unchanged"
        )
    return by_system
