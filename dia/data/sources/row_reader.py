"""Conversion of one row of a corpus to labelled clips by its declaration."""

import re
from dataclasses import dataclass, replace
from typing import Any

from dia.config.data import DialogueLimits
from dia.data.clip import Clip, LabelledNonverbal, LabelledTurn
from dia.data.segmentation import TimedTurn, dialogue_of, group_turns
from dia.data.source import Tally
from dia.data.sources import patterns
from dia.data.sources.cells import cell_list, cell_seconds, cell_text
from dia.data.sources.declaration import Declaration, Marks
from dia.data.sources.marks import DropClip, clean_text, tag_of, turn_of
from dia.data.sources.row_audio import segment
from dia.data.sources.row_emotions import row_emotions
from dia.dialogue import Script, Turn
from dia.dialogue.script import SPEAKER
from dia.dialogue.tags import canonical_tag, known_tags, tag_spellings
from dia.errors import UserError
from dia.types import Waveform


@dataclass(frozen=True)
class RowReader:
    """Converts a row to clips by the declaration. Methods raise :class:`DropClip` for unusable clips.

    ``unknown`` and ``licence`` are the policies `data.unknown` and `data.licence`.
    """

    declared: Declaration
    unknown: str
    licence: str
    limits: DialogueLimits
    tally: Tally

    def clips(self, unit_id: str, row: dict[str, Any], waveform: Waveform, rate: int) -> list[Clip]:
        """Return the clips of a row that :meth:`accepted` returned."""
        declared, roles = self.declared, self.declared.roles
        licence, commercial_ok = self._licence(row)
        start, end = self._part(row)
        waveform = segment(waveform, rate, start, end, unit_id)
        identity = str(row[roles.id]) if roles.id else unit_id
        name = f"{declared.name}-{identity}"
        whole = Clip(name, declared.name, licence, commercial_ok, (), (), waveform, rate)
        if declared.layout == "conversation":
            return self._conversation(row, whole)
        return [self._with_turns(whole, self.turns(row), row)]

    def accepted(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return a row with the columns of its file name. Raises :class:`DropClip` when a rule refuses it."""
        row = row | self._named(row)
        self._licence(row)
        self._apply_filters(row)
        return row

    def script(self, row: dict[str, Any]) -> Script:
        """Return the script of an accepted row, after its emotion is looked up; not of a conversation."""
        row_emotions(row, self.declared, self.unknown, self.tally)
        return Script(tuple(self.turns(row)))

    def turns(self, row: dict[str, Any]) -> list[Turn]:
        """Return the turns of an accepted row that is no conversation."""
        if self.declared.layout == "sound":
            return [self._sound_turn(row)]
        if self.declared.layout == "script":
            return self._script_turns(self._text(row))
        return [self._turn(self._text(row), 1)]

    def _named(self, row: dict[str, Any]) -> dict[str, str]:
        """Columns encoded in a file name."""
        names = self.declared.names
        if names is None:
            return {}
        value = row[names.column]
        text = str(value.get("path") if isinstance(value, dict) else getattr(value, "path", value))
        if match := patterns.search(names.pattern, text):
            return {key: value for key, value in match.groupdict().items() if value is not None}
        raise UserError(
            f"the name {text!r} does not match the pattern of {self.declared.name} ({names.pattern})"
        )

    def _licence(self, row: dict[str, Any]) -> tuple[str, bool]:
        declared, roles = self.declared, self.declared.roles
        licence = (cell_text(row.get(roles.licence)) if roles.licence else "") or declared.licence
        stated = cell_text(row.get(roles.commercial_ok)) if roles.commercial_ok else ""
        commercial_ok = stated.lower() in ("true", "1", "yes") if stated else declared.commercial_ok
        if self.licence == "commercial" and not commercial_ok:
            raise DropClip(f"the licence {licence} does not permit commercial use")
        return licence, commercial_ok

    def _apply_filters(self, row: dict[str, Any]) -> None:
        for column, rule in self.declared.keep.items():
            if rule.at_least is not None or rule.at_most is not None:
                number = cell_seconds(row[column], column)
                if number is None:
                    raise DropClip(f"{column} is not given")
                if rule.at_least is not None and not number >= rule.at_least:
                    raise DropClip(f"{column} is below {rule.at_least:g}")
                if rule.at_most is not None and not number <= rule.at_most:
                    raise DropClip(f"{column} is above {rule.at_most:g}")
            accepted = [item.casefold() for item in rule.one_of or ()]
            if accepted and cell_text(row[column]).casefold() not in accepted:
                raise DropClip(f"{column} is not {' or '.join(rule.one_of or ())}")

    def _part(self, row: dict[str, Any]) -> tuple[float | None, float | None]:
        """Start and end in seconds of the clip in its audio; None for the whole."""
        roles = self.declared.roles
        start, end, duration = (
            cell_seconds(row.get(column), column) if column else None
            for column in (roles.start, roles.end, roles.duration)
        )
        if start is not None and end is None and duration is not None:
            end = start + duration
        return start, end  # a duration alone describes the file

    def _text(self, row: dict[str, Any]) -> str:
        declared = self.declared
        text = cell_text(row[declared.roles.text or "text"])
        if declared.texts is None:
            return clean_text(text)
        if text not in declared.texts:
            raise UserError(
                f"{declared.name} has no sentence {text!r}; its declaration has {', '.join(declared.texts)}"
            )
        return declared.texts[text]

    def _script_turns(self, text: str) -> list[Turn]:
        """Turns of a script with the tags of this project, or of the plain text of one speaker."""
        tags = {spelling: str(canonical_tag(spelling)) for spelling in tag_spellings()}
        marks = Marks(pattern=r"\(([^()]*)\)", tags=tags | self.declared.marks.tags)
        pieces = SPEAKER.split(text if SPEAKER.match(text.strip()) else f"[S1] {text}")
        turns = [
            turn_of(words, int(speaker), marks, self.unknown, self.tally)
            for speaker, words in zip(pieces[1::2], pieces[2::2], strict=True)
        ]
        if not any(turn.text or turn.nonverbals for turn in turns):
            raise DropClip("there are no words")
        return turns

    def _turn(self, text: str, speaker: int) -> Turn:
        turn = turn_of(text, speaker, self.declared.marks, self.unknown, self.tally)
        if not turn.text and not turn.nonverbals:
            raise DropClip("there are no words")
        return turn

    def _sound_turn(self, row: dict[str, Any]) -> Turn:
        """A turn that consists of one nonverbal sound."""
        rule = self.declared.sound
        assert rule is not None, "the layout sound has a sound rule"
        label = str(row[rule.column])
        if label in rule.drop_clip:
            raise DropClip(f"{label}: {rule.drop_clip[label]}")
        marks = replace(self.declared.marks, tags=rule.tags, pattern=f"({re.escape(label)})")
        turn = turn_of(label, 1, marks, self.unknown, self.tally)
        if not turn.nonverbals and not self.tally.unknown:
            raise DropClip("the sound has no tag")
        return turn

    def _with_turns(self, whole: Clip, turns: list[Turn], row: dict[str, Any]) -> Clip:
        """A clip of turns without times; a single turn spans the whole clip."""
        emotions = row_emotions(row, self.declared, self.unknown, self.tally)
        single = len(turns) == 1
        voices = self._voices(row, turns)
        labelled = tuple(
            LabelledTurn(
                turn.speaker,
                turn.text,
                start=0.0 if single else None,
                end=whole.seconds if single else None,
                voice=voices.get(turn.speaker, ""),
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

    def _voices(self, row: dict[str, Any], turns: list[Turn]) -> dict[int, str]:
        """The voice of each speaker of a row, where it is known: several by a list, one by its name."""
        roles = self.declared.roles
        speakers = sorted({turn.speaker for turn in turns})
        several = cell_list(row.get(roles.voices)) if roles.voices else []
        if several:
            if speakers[-1] > len(several):
                raise UserError(
                    f"{roles.voices} names {len(several)} voices ({', '.join(several)}), but the text has "
                    f"[S{speakers[-1]}]; name a voice for each speaker, separated by semicolons"
                )
            return dict(enumerate(several, start=1))
        if roles.voice is None or len(speakers) > 1:
            return {}
        named = roles.voice.format_map(row) if "{" in roles.voice else row.get(roles.voice)
        return {speakers[0]: cell_text(named)}

    def _events(self, row: dict[str, Any], turns: list[Turn], seconds: float) -> list[LabelledNonverbal]:
        """Nonverbals of a clip of one turn that the corpus lists as ``label start end;...`` in seconds.

        The times of the words are unknown: a nonverbal is placed at the word boundary nearest to its relative
        time.
        """
        roles, marks = self.declared.roles, self.declared.marks
        column = cell_text(row.get(roles.events)) if roles.events else ""
        nonverbals = []
        for event in (part.strip() for part in column.split(";") if part.strip()):
            match = re.fullmatch(r"(.+?)\s+(\d+\.?\d*)\s+(\d+\.?\d*)", event)
            if match is None or len(turns) != 1:
                raise UserError(
                    f"the event {event!r} is not `label start end`, or the clip has several turns"
                )
            label, start, end = match.group(1), float(match.group(2)), float(match.group(3))
            known = marks if marks.tags else replace(marks, tags={tag: tag for tag in known_tags()})
            if tag := tag_of(label, known, self.unknown, self.tally):
                char = nearest_boundary(turns[0].text, (start + end) / 2 / seconds)
                nonverbals.append(LabelledNonverbal(tag, 0, char, "human", start, end))
        return nonverbals

    def _region(self, row: dict[str, Any], count: int) -> tuple[float | None, float | None]:
        """Start and end in seconds of the only nonverbal of the clip, if the corpus gives them."""
        column = self.declared.roles.region
        if column is None or count != 1 or row[column] is None:
            return None, None
        start, end = row[column]
        return float(start), float(end)

    def _conversation(self, row: dict[str, Any], whole: Clip) -> list[Clip]:
        """Clips of consecutive turns of a conversation, whose boundaries the corpus gives."""
        roles, rate = self.declared.roles, whole.sample_rate
        columns = [row[str(name)] for name in (roles.texts, roles.voices, roles.cuts)]
        if len({len(column) for column in columns}) != 1:
            raise UserError(
                f"{whole.id}: {roles.texts}, {roles.voices} and {roles.cuts} have different lengths"
            )
        turns = [
            self._timed(clean_text(str(text)), cell_text(voice), cut[0] / rate, cut[1] / rate)
            for text, voice, cut in zip(*columns, strict=True)
        ]
        clips = []
        for number, group in enumerate(group_turns(turns, self.limits)):
            seconds = group[-1].end - group[0].start
            if not 0 < seconds <= self.limits.longest:
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


def nearest_boundary(text: str, share: float) -> int:
    """Return the index of the word boundary nearest to ``share`` (0..1) of the text."""
    boundaries = [0, *(match.end() for match in re.finditer(r"\s+", text)), len(text)]
    return min(boundaries, key=lambda place: abs(place - share * len(text)))
