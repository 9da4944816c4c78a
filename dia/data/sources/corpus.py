"""A declared corpus as a source: each row of its table becomes one or more labelled clips."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from datasets.config import HF_CACHE_HOME, HF_DATASETS_CACHE
from huggingface_hub.constants import HF_HUB_CACHE

from dia.config.data import DialogueLimits
from dia.data.clip import Clip
from dia.data.length_limits import LengthLimits
from dia.data.source import Tally, Unit
from dia.data.sources.declaration import Declaration
from dia.data.sources.held_out import HeldOut
from dia.data.sources.marks import DropClip
from dia.data.sources.row_audio import ANYWHERE, row_waveform
from dia.data.sources.row_reader import RowReader
from dia.data.sources.tables import Table, open_table
from dia.errors import UserError

TRAIN, VALIDATION = "train", "validation"


@dataclass(frozen=True)
class CorpusSource:
    """A corpus; see :class:`dia.data.source.Source`. Without ``path`` to a local copy the Hub is read.

    ``held_out`` is the share of the training clips that become the validation split of a corpus without one.
    ``outside`` permits tables that name files outside of their folder.
    """

    declared: Declaration
    path: str = ""
    unknown: str = "raise"
    licence: str = "any"
    streaming: bool = False
    limit: int = 0
    limits: DialogueLimits = field(default_factory=DialogueLimits)
    held_out: float = 0.0
    outside: bool = False

    @property
    def table(self) -> Table:
        """The table of rows."""
        return open_table(self.declared, self.path, self.streaming, self.outside)

    def request(self) -> dict[str, Any]:
        """Return the declaration, the version of the rows, and the policies."""
        request = {
            "corpus": self.declared.identity(),
            "rows": self.table.version(),
            "unknown": self.unknown,
            "licence": self.licence,
            "limit": self.limit,
            "limits": asdict(self.limits),
        }
        return request | ({"held_out": self.held_out} if self._may_hold_out() else {})

    def count(self) -> int | None:
        """Return the number of units, None for a stream of unknown length."""
        counted = self.table.count()
        return min(counted, self.limit) if counted is not None and self.limit else counted

    def units(self) -> Iterator[Unit]:
        """Yield a unit for each row, some of them held out for validation if the corpus has no such split."""
        table, plan = self.table, self._plan()
        for unit in islice(table.units(), self.limit or None):
            held_out = plan is not None and unit.split == TRAIN and plan.holds(table.group(unit))
            yield replace(unit, split=VALIDATION) if held_out else unit

    def check(self, limits: LengthLimits) -> None:
        """Raise :class:`UserError` with every label without a mapping and every text above the limit.

        Only the labels of a corpus are read, not its audio; those of a stream are not known before.
        """
        tally, too_long = Tally(), list[str]()
        reader = self._reader(tally)
        if self.declared.layout == "conversation":
            return
        for unit, row in islice(self.table.labels(), self.limit or None):
            try:
                script = reader.script(reader.accepted(row))
            except (UserError, DropClip):
                continue  # reported when the row is read
            if problem := limits.text_problem(script.render()):
                too_long.append(f"{unit.id}: {problem}")
        tally.require_known(self.declared.title)
        limits.require_short(too_long)

    def read(self, unit: Unit, tally: Tally) -> list[Clip]:
        """Return the clips of a row; excluded clips are counted with their reasons."""
        row = self.table.row(unit)
        reader = self._reader(tally)
        try:
            row = reader.accepted(row)
            waveform, rate = row_waveform(row[self.declared.roles.audio], unit.id, self._roots())
            return reader.clips(unit.id, row, waveform, rate)
        except DropClip as reason:
            tally.drop(unit.id, str(reason))
            return []

    def _reader(self, tally: Tally) -> RowReader:
        return RowReader(self.declared, self.unknown, self.licence, self.limits, tally)

    def _roots(self) -> tuple[Path, ...]:
        """The folders in which the audio may lie: that of a local copy, or the caches of the Hub."""
        if self.outside:
            return ANYWHERE
        if not self.path:
            return tuple(Path(cache) for cache in (HF_CACHE_HOME, HF_DATASETS_CACHE, HF_HUB_CACHE))
        folder = Path(self.path)
        return (folder if folder.is_dir() else folder.parent,)

    def _may_hold_out(self) -> bool:
        """Whether the declaration leaves open that there is a validation split."""
        in_table = self.declared.files is not None and self.declared.roles.split is not None
        return self.held_out > 0 and (in_table or VALIDATION not in self.declared.splits)

    def _plan(self) -> HeldOut | None:
        """Which clips are held out, None if the corpus has a validation split of its own."""
        if not self._may_hold_out():
            return None
        if self.streaming and self.declared.hub is not None:
            return HeldOut(self.held_out)  # the units of a stream are not known before
        groups = set[tuple[str, str]]()
        table = self.table
        for unit in islice(table.units(), self.limit or None):
            if unit.split == VALIDATION:
                return None
            if unit.split == TRAIN:
                groups.add(table.group(unit))
        return HeldOut.plan(groups, self.held_out)
