"""A declared corpus as a source: each row of its table becomes one or more labelled clips."""

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from dia.audio.files import read_audio_file, waveform_from_bytes
from dia.config.data import DialogueLimits
from dia.data.clip import Clip, Emotion, LabelledNonverbal, LabelledTurn
from dia.data.segmentation import TimedTurn, dialogue_of, group_turns
from dia.data.source import Tally, Unit
from dia.data.sources.declaration import Declaration, Marks, Scale
from dia.data.sources.marks import DropClip, tag_of, turn_of
from dia.data.sources.tables import Table, open_table
from dia.dialogue import Turn
from dia.dialogue.script import SPEAKER
from dia.dialogue.tags import canonical_tag, known_tags, tag_spellings
from dia.errors import UserError
from dia.resources import declaration as resource_table
from dia.types import Waveform


@dataclass(frozen=True)
class CorpusSource:
    """A corpus; see :class:`dia.data.source.Source`. Without ``path`` to a local copy the Hub is read."""

    declared: Declaration
    path: str = ""
    unknown: str = "raise"
    licence: str = "any"
    streaming: bool = False
    limit: int = 0
    limits: DialogueLimits = field(default_factory=DialogueLimits)

    @property
    def table(self) -> Table:
        """The table of rows, opened once per process."""
        return open_table(self.declared, self.path, self.streaming)

    def request(self) -> dict[str, Any]:
        """Return the declaration, the version of the rows, and the policies."""
        return {
            "corpus": asdict(self.declared),
            "rows": self.table.version(),
            "unknown": self.unknown,
            "licence": self.licence,
            "limit": self.limit,
            "limits": asdict(self.limits),
        }

    def count(self) -> int | None:
        """Return the number of units, None for a stream of unknown length."""
        counted = self.table.count()
        return min(counted, self.limit) if counted is not None and self.limit else counted

    def units(self) -> Iterator[Unit]:
        """Yield a unit for each row."""
        for number, unit in enumerate(self.table.units()):
            if self.limit and number == self.limit:
                return
            yield unit

    def read(self, unit: Unit, tally: Tally) -> list[Clip]:
        """Return the clips of a row; excluded clips are counted with their reasons."""
        row = self.table.row(unit)
        try:
            return RowReader(self, tally).clips(unit.id, row)
        except DropClip as reason:
            tally.drop(unit.id, str(reason))
            return []


@dataclass(frozen=True)
class RowReader:
    """Converts a row to clips by the declaration. Methods raise :class:`DropClip` for unusable clips."""

    source: CorpusSource
    tally: Tally

    def clips(self, unit_id: str, row: dict[str, Any]) -> list[Clip]:
        """Return the clips of a row."""
        declared, roles = self.source.declared, self.source.declared.roles
        row = row | self._named(row)
        licence, commercial_ok = self._licence(row)
        self._apply_filters(row)
        waveform, rate = _waveform(row[roles.audio], unit_id)
        identity = str(row[roles.id]) if roles.id else unit_id
        whole = Clip(
            f"{declared.name}-{identity}", declared.name, licence, commercial_ok, (), (), waveform, rate
        )
        if declared.layout == "conversation":
            return self._conversation(row, whole)
        if declared.layout == "sound":
            return [self._with_turns(whole, [self._sound_turn(row)], row)]
        turns = (
            self._script(self._text(row)) if declared.layout == "script" else [self._turn(self._text(row), 1)]
        )
        return [self._with_turns(whole, turns, row)]

    def _named(self, row: dict[str, Any]) -> dict[str, str]:
        """Columns encoded in a file name."""
        names = self.source.declared.names
        if names is None:
            return {}
        value = row[names.column]
        text = str(value["path"] if isinstance(value, dict) else value)
        if match := re.search(names.pattern, text):
            return {key: value for key, value in match.groupdict().items() if value is not None}
        raise UserError(
            f"the name {text!r} does not match the pattern of {self.source.declared.name} ({names.pattern})"
        )

    def _licence(self, row: dict[str, Any]) -> tuple[str, bool]:
        declared, roles = self.source.declared, self.source.declared.roles
        licence = str(row.get(roles.licence) or declared.licence) if roles.licence else declared.licence
        stated = row.get(roles.commercial_ok) if roles.commercial_ok else None
        commercial_ok = (
            declared.commercial_ok if stated is None else str(stated).lower() in ("true", "1", "yes")
        )
        if self.source.licence == "commercial" and not commercial_ok:
            raise DropClip(f"the licence {licence} does not permit commercial use")
        return licence, commercial_ok

    def _apply_filters(self, row: dict[str, Any]) -> None:
        for column, rule in self.source.declared.keep.items():
            value = row[column]
            if rule.at_least is not None and not float(value) >= rule.at_least:
                raise DropClip(f"{column} is below {rule.at_least:g}")
            if rule.at_most is not None and not float(value) <= rule.at_most:
                raise DropClip(f"{column} is above {rule.at_most:g}")
            if rule.one_of is not None and str(value) not in rule.one_of:
                raise DropClip(f"{column} is not {' or '.join(rule.one_of)}")

    def _text(self, row: dict[str, Any]) -> str:
        declared = self.source.declared
        text = str(row[declared.roles.text or "text"] or "")
        if declared.texts is None:
            return text
        if text not in declared.texts:
            raise UserError(
                f"{declared.name} has no sentence {text!r}; its declaration has {', '.join(declared.texts)}"
            )
        return declared.texts[text]

    def _script(self, text: str) -> list[Turn]:
        """Turns of a script with the tags of this project, or of the plain text of one speaker."""
        marks = Marks(
            pattern=r"\(([^()]*)\)",
            tags={spelling: str(canonical_tag(spelling)) for spelling in tag_spellings()},
        )
        pieces = SPEAKER.split(text if SPEAKER.match(text.strip()) else f"[S1] {text}")
        turns = [
            turn_of(words, int(speaker), marks, self.source.unknown, self.tally)
            for speaker, words in zip(pieces[1::2], pieces[2::2], strict=True)
        ]
        if not any(turn.text or turn.nonverbals for turn in turns):
            raise DropClip("there are no words")
        return turns

    def _turn(self, text: str, speaker: int) -> Turn:
        turn = turn_of(text, speaker, self.source.declared.marks, self.source.unknown, self.tally)
        if not turn.text and not turn.nonverbals:
            raise DropClip("there are no words")
        return turn

    def _sound_turn(self, row: dict[str, Any]) -> Turn:
        """A turn that consists of one nonverbal sound."""
        rule = self.source.declared.sound
        assert rule is not None, "the layout sound has a sound rule"
        label = str(row[rule.column])
        if label in rule.drop_clip:
            raise DropClip(f"{label}: {rule.drop_clip[label]}")
        marks = replace(self.source.declared.marks, tags=rule.tags, pattern=f"({re.escape(label)})")
        return self._checked(turn_of(label, 1, marks, self.source.unknown, self.tally))

    def _checked(self, turn: Turn) -> Turn:
        if not turn.nonverbals and not self.tally.unknown:
            raise DropClip("the sound has no tag")
        return turn

    def _with_turns(self, whole: Clip, turns: list[Turn], row: dict[str, Any]) -> Clip:
        """A clip of turns without times; a single turn spans the whole clip."""
        voice = str(row[self.source.declared.roles.voice]) if self.source.declared.roles.voice else ""
        emotions = self._emotions(row)
        single = len(turns) == 1
        labelled = tuple(
            LabelledTurn(
                turn.speaker,
                turn.text,
                start=0.0 if single else None,
                end=whole.seconds if single else None,
                voice=voice if single else "",
                emotions=emotions,
            )
            for turn in turns
        )
        inline = [(number, item) for number, turn in enumerate(turns) for item in turn.nonverbals]
        start, end = self._region(row, len(inline))
        nonverbals = [
            LabelledNonverbal(item.tag, number, item.char, "human", start, end) for number, item in inline
        ]
        nonverbals += self._events(row, turns, whole.seconds)
        return replace(whole, turns=labelled, nonverbals=tuple(nonverbals))

    def _events(self, row: dict[str, Any], turns: list[Turn], seconds: float) -> list[LabelledNonverbal]:
        """Nonverbals of a clip of one turn that the corpus lists as ``label start end;...`` in seconds.

        The times of the words are unknown: a nonverbal is placed at the word boundary nearest to its relative
        time.
        """
        roles, marks = self.source.declared.roles, self.source.declared.marks
        column = str(row.get(roles.events) or "") if roles.events else ""
        nonverbals = []
        for event in (part.strip() for part in column.split(";") if part.strip()):
            match = re.fullmatch(r"(.+?)\s+([\d.]+)\s+([\d.]+)", event)
            if match is None or len(turns) != 1:
                raise UserError(
                    f"the event {event!r} is not `label start end`, or the clip has several turns"
                )
            label, start, end = match.group(1), float(match.group(2)), float(match.group(3))
            known = marks if marks.tags else replace(marks, tags={tag: tag for tag in known_tags()})
            if tag := tag_of(label, known, self.source.unknown, self.tally):
                char = nearest_boundary(turns[0].text, (start + end) / 2 / seconds)
                nonverbals.append(LabelledNonverbal(tag, 0, char, "human", start, end))
        return nonverbals

    def _region(self, row: dict[str, Any], count: int) -> tuple[float | None, float | None]:
        """Start and end in seconds of the only nonverbal of the clip, if the corpus gives them."""
        column = self.source.declared.roles.region
        if column is None or count != 1 or row[column] is None:
            return None, None
        start, end = row[column]
        return float(start), float(end)

    def _conversation(self, row: dict[str, Any], whole: Clip) -> list[Clip]:
        """Clips of consecutive turns of a conversation, whose boundaries the corpus gives."""
        roles, rate = self.source.declared.roles, whole.sample_rate
        columns = [row[str(name)] for name in (roles.texts, roles.voices, roles.cuts)]
        if len({len(column) for column in columns}) != 1:
            raise UserError(
                f"{whole.id}: {roles.texts}, {roles.voices} and {roles.cuts} have different lengths"
            )
        turns = [
            self._timed(str(text), str(voice), cut[0] / rate, cut[1] / rate)
            for text, voice, cut in zip(*columns, strict=True)
        ]
        clips = []
        for number, group in enumerate(group_turns(turns, self.source.limits)):
            seconds = group[-1].end - group[0].start
            if not 0 < seconds <= self.source.limits.longest:
                self.tally.drop(f"{whole.id}-{number:03d}", "a turn is longer than the longest clip")
                continue
            first, last = round(group[0].start * rate), round(group[-1].end * rate)
            labelled, nonverbals = dialogue_of(group, group[0].start)
            clips.append(
                replace(
                    whole,
                    id=f"{whole.id}-{number:03d}",
                    turns=labelled,
                    nonverbals=nonverbals,
                    waveform=whole.waveform[first:last],
                )
            )
        return clips

    def _timed(self, text: str, voice: str, start: float, end: float) -> TimedTurn:
        turn = self._turn(text, 1)
        nonverbals = tuple(LabelledNonverbal(item.tag, 0, item.char, "human") for item in turn.nonverbals)
        return TimedTurn(LabelledTurn(1, turn.text, start, end, voice), nonverbals)

    def _emotions(self, row: dict[str, Any]) -> tuple[Emotion, ...]:
        """The emotion label of the clip in the corpus, if any."""
        rule = self.source.declared.emotion
        scales = {
            "intensity": rule.intensity,
            "valence": rule.valence,
            "arousal": rule.arousal,
            "dominance": rule.dominance,
        }
        numbers = {name: _number(row, scale, name) for name, scale in scales.items()}
        label = self._emotion_label(str(row[rule.column] or "")) if rule.column else None
        if label is None and not any(value is not None for value in numbers.values()):
            return ()
        known = resource_table("data/emotions.yaml").get(label, {}) if label else {}
        stated = {key: value for key, value in numbers.items() if value is not None}
        return (Emotion(rule.origin, label, **(known | stated)),)

    def _emotion_label(self, label: str) -> str | None:
        labels = self.source.declared.emotion.labels
        if label in labels:
            self.tally.counts[f"emotions: {label} -> {labels[label] or 'nothing'}"] += 1
            return labels[label]
        empty = replace(self.source.declared.marks, tags={}, drop={}, drop_clip={})
        return tag_of(label, empty, self.source.unknown, self.tally, "emotions")


def nearest_boundary(text: str, share: float) -> int:
    """Return the index of the word boundary nearest to ``share`` (0..1) of the text."""
    boundaries = [0, *(match.end() for match in re.finditer(r"\s+", text)), len(text)]
    return min(boundaries, key=lambda place: abs(place - share * len(text)))


def _number(row: dict[str, Any], scale: Scale | None, name: str) -> float | None:
    """A number on the scale of this project; None if the row has none."""
    if scale is None or row.get(scale.column) in (None, ""):
        return None
    value = row[scale.column]
    if scale.labels is not None:
        return scale.labels.get(str(value))
    share = (float(value) - scale.low) / (scale.high - scale.low)
    return share if name == "intensity" else 2 * share - 1


def _waveform(value: Any, owner: str) -> tuple[Waveform, int]:
    """The waveform and sample rate of the audio of a row, which is bytes or a path."""
    content = value.get("bytes") if isinstance(value, dict) else value
    if isinstance(content, bytes):
        return waveform_from_bytes(content)
    path = value.get("path") if isinstance(value, dict) else value
    if not path:
        raise UserError(f"{owner} has no audio")
    return read_audio_file(path)
