"""Raw recordings as a source: models listen once, thresholds decide, turns become dialogues.

One recording: file -> `stages.py` (models hear, kept by `measures.py`) -> `decisions.py` (speech, voices,
words, events) -> `arousal.py` -> `dia/data/segmentation.py` (neighbouring turns joined) -> quality filters
here -> clips.
"""

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dia.audio.files import ENDINGS, read_audio_file, resample
from dia.config.data import DialogueLimits
from dia.config.recordings import RecordingsConfig
from dia.data.clip import Clip
from dia.data.recordings.arousal import with_arousal
from dia.data.recordings.decisions import (
    FRAME_SECONDS,
    apart,
    events_of,
    pieces_of,
    placed,
    speech_stretches,
    voice_names,
    voiced_words,
    without_laughter,
)
from dia.data.recordings.measures import SAMPLE_RATE, Arrays, Stage, measured
from dia.data.recordings.stages import MOS_SECONDS, stages
from dia.data.segmentation import TimedTurn, dialogue_of, group_turns
from dia.data.source import Tally, Unit
from dia.data.sources.tables import folder_version
from dia.errors import UserError
from dia.judges.prosody import FRAMES
from dia.judges.words import agreement
from dia.types import Waveform

MARGIN = 0.15  # seconds kept before the first and after the last turn of a clip


@dataclass(frozen=True)
class RecordingsSource:
    """See :class:`dia.data.source.Source`. A unit is one sound file below ``path``."""

    path: str
    config: RecordingsConfig
    limits: DialogueLimits
    licence: str = "any"

    def request(self) -> dict[str, Any]:
        """Return the files, the models and the thresholds. Raises :class:`UserError` when there are no files
        or no models.
        """
        if self.licence == "commercial" and not self.config.commercial_ok:
            raise UserError(
                f"the recordings' licence {self.config.licence} does not allow commercial use; if it does, say so with "
                "data.recordings.commercial_ok=true and data.recordings.licence"
            )
        self.files()
        decided = {
            key: value
            for key, value in asdict(self.config).items()
            if key not in ("measures", "calibration", "pyannote")
        }
        return {
            "recordings": decided, "files": folder_version(Path(self.path)), "limits": asdict(self.limits),
            "models": {stage.name: stage.identity for stage in self.stages()},
        }  # fmt: skip

    def files(self) -> list[Path]:
        """Return the sound files, sorted. Raises :class:`UserError` when there are none."""
        folder = Path(self.path)
        if not self.path or not folder.is_dir():
            raise UserError(f"data.path={self.path!r} is no folder; give the one that holds the recordings")
        found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS)
        if not found:
            raise UserError(f"{folder} holds no {', '.join(ENDINGS)}; convert the recordings to one of these")
        return found

    def count(self) -> int:
        """Return the number of recordings."""
        return len(self.files())

    def units(self) -> Iterator[Unit]:
        """Yield a unit for each file; its split depends on its name alone."""
        for path in self.files():
            name = str(path.relative_to(self.path))
            yield Unit(name, self._split(name), name)

    def _split(self, name: str) -> str:
        share = (
            int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()[:6], "big")
            / 2**48
        )
        for split, size in self.config.splits.items():
            if share < size:
                return split
            share -= size
        return next(iter(self.config.splits))

    def stages(self) -> list[Stage]:
        """Return the models, loaded once a process."""
        return _stages(json.dumps(asdict(self.config), sort_keys=True))

    def read(self, unit: Unit, tally: Tally) -> list[Clip]:
        """Label one recording. Raises :class:`UserError` when it cannot be read."""
        path = Path(self.path) / unit.content
        waveform, rate = read_audio_file(path)
        heard = self._heard(path, waveform, rate)
        pieces = self._pieces(heard, tally)
        if not pieces:
            tally.drop(unit.id, "nothing is said")
            return []
        gain = self._gain(heard)
        whole = Clip(
            _name(unit.id),
            "recordings",
            self.config.licence,
            self.config.commercial_ok,
            (),
            (),
            waveform,
            rate,
        )
        clips = [
            self._clip(whole, number, group, heard, gain, tally)
            for number, group in enumerate(group_turns(pieces, self.limits))
        ]  # fmt: skip
        return [clip for clip in clips if clip is not None]

    def _heard(self, path: Path, waveform: Waveform, rate: int) -> dict[str, Arrays]:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        low = resample(waveform, rate, SAMPLE_RATE)
        return {
            stage.name: measured(stage, low, digest, Path(self.config.measures)) for stage in self.stages()
        }

    def _pieces(self, heard: dict[str, Arrays], tally: Tally) -> list[TimedTurn]:
        """The recording's turns with all labels."""
        limits = self.config.thresholds
        probability = heard["speech"]["probability"]
        middle, names = _voices(heard, limits.same_voice, self.config)
        origin = {stage.name: next(iter(stage.identity.values())) for stage in self.stages()}
        seconds = len(heard["prosody"]["energy"]) / FRAMES
        recognised, laughter = without_laughter(heard["words"], seconds, origin["words"])
        words = voiced_words(recognised, probability, middle, names)
        if unheard := len(recognised["text"]) - len(words):
            tally.counts["words: recognised where nobody speaks, taken out"] += unheard
        events = apart(events_of(heard["events"], limits.events, origin["events"]), laughter)
        for event in events:
            tally.counts[f"nonverbals: ({event.tag}) heard by {event.origin.split(' (')[0]}"] += 1
        pieces = placed(pieces_of(words, limits), words, events)
        return (
            with_arousal(pieces, heard["prosody"], origin["prosody"])
            if self.config.emotion == "prosody"
            else pieces
        )

    def _gain(self, heard: dict[str, Arrays]) -> float:
        """The factor that brings the recording to the wanted loudness, 1 where it is too short or silent to
        have one.
        """
        loudness = float(heard["quality"]["loudness"][0])
        if self.config.loudness is None or not math.isfinite(loudness):
            return 1.0
        return float(10 ** ((self.config.loudness - loudness) / 20))

    def _clip(
        self,
        whole: Clip,
        number: int,
        group: list[TimedTurn],
        heard: dict[str, Arrays],
        gain: float,
        tally: Tally,
    ) -> Clip | None:
        """The clip of neighbouring turns, None (and counted) when a filter refuses it."""
        name = f"{whole.id}-{number:04d}"
        begin = max(0.0, group[0].start - MARGIN)
        end = min(whole.seconds, group[-1].end + MARGIN)
        quality = self._quality(group, heard, begin, end)
        if reason := self._refused(end - begin, quality, any(item.turn.text for item in group)):
            tally.drop(name, reason, start=round(begin, 2), end=round(end, 2), file=whole.id)
            return None
        turns, nonverbals = dialogue_of(group, begin)
        waveform = whole.waveform[
            round(begin * whole.sample_rate) : round(end * whole.sample_rate)
        ] * np.float32(gain)
        peak = float(np.abs(waveform).max(initial=0.0))
        waveform = (
            waveform / peak if peak > 1 else waveform
        )  # a loud peak must not be clipped for the sake of the level
        return replace(whole, id=name, turns=turns, nonverbals=nonverbals, waveform=waveform, quality=quality)

    def _quality(
        self, group: list[TimedTurn], heard: dict[str, Arrays], begin: float, end: float
    ) -> dict[str, float]:
        quality = {"snr_db": _snr(heard, begin, end, self.config.thresholds.speech)}
        clipped = heard["quality"]["clipped"][int(begin) : int(end) + 1]
        quality["clipped"] = float(clipped.mean()) if len(clipped) else 0.0
        mos = heard["quality"]["mos"][int(begin / MOS_SECONDS) : int(end / MOS_SECONDS) + 1].astype(
            np.float64
        )
        if np.isfinite(mos).any():
            quality["mos"] = float(np.nanmean(mos))
        if (agreed := _agreement(heard, begin, end)) is not None:
            quality["agreement"] = agreed
        return quality

    def _refused(self, seconds: float, quality: dict[str, float], words: bool) -> str | None:
        """Why a clip is not to be used, None when it is."""
        limits = self.config.thresholds
        if seconds < self.limits.shortest:
            return f"it is shorter than {self.limits.shortest:g} s"
        if seconds > self.limits.longest:
            return f"it is longer than {self.limits.longest:g} s"
        speech_only = (("mos", limits.mos), ("agreement", limits.agreement)) if words else ()
        for name, limit in (("snr_db", limits.snr_db), *speech_only):
            if name in quality and quality[name] < limit:
                return f"{name} is below {limit:g}"
        return (
            f"more than {limits.clipped:g} of it is clipped" if quality["clipped"] > limits.clipped else None
        )


@cache
def _stages(config: str) -> list[Stage]:
    content = json.loads(config)
    return stages(
        RecordingsConfig(
            **{key: content[key] for key in ("asr", "second_asr", "diarization", "pyannote", "mos")}
        )
    )


def _voices(
    heard: dict[str, Arrays], same: float, config: RecordingsConfig
) -> tuple[NDArray[np.float32], list[str]]:
    """Middles of windows and who speaks in each."""
    if "pyannote" in heard:
        return points_of(heard["pyannote"])
    stretches = speech_stretches(heard["speech"]["probability"], config.thresholds)
    middle, embedding = heard["voices"]["middle"].astype(np.float32), heard["voices"]["embedding"]
    spoken = np.array([any(start <= time <= end for start, end in stretches) for time in middle], dtype=bool)
    if not spoken.any():
        spoken[:] = True
    return middle[spoken], voice_names(middle[spoken], embedding[spoken], config.thresholds)


def points_of(turns: Arrays, step: float = 0.1) -> tuple[NDArray[np.float32], list[str]]:
    """Return times (points,) at even distances within each turn, and who speaks there: the nearest one is
    that of a word.

    Middles of whole turns would not do: the end of a long turn lies nearer to the middle of a short one after
    it.
    """
    times, voices = [np.zeros(0, dtype=np.float32)], list[str]()
    for start, end, voice in zip(turns["start"], turns["end"], turns["voice"], strict=True):
        count = max(1, round(float(end - start) / step))
        times.append(np.asarray(start + (np.arange(count) + 0.5) * (end - start) / count, dtype=np.float32))
        voices += [str(voice)] * count
    return np.concatenate(times), voices


def _snr(heard: dict[str, Arrays], begin: float, end: float, speech: float) -> float:
    """Mean power of speech above the recording's noise floor (10th percentile of all frames), in decibels."""
    energy = heard["prosody"]["energy"].astype(np.float64)
    probability = heard["speech"]["probability"].astype(np.float32)
    frames = np.minimum((np.arange(len(energy)) * 0.01 / FRAME_SECONDS).astype(int), len(probability) - 1)
    inside = np.zeros(len(energy), dtype=bool)
    inside[int(begin * 100) : int(end * 100)] = True
    spoken = inside & (probability[frames] >= speech)
    floor = float(np.percentile(energy, 10))
    power = np.power(10.0, energy[spoken if spoken.any() else inside] / 10)
    return float(10 * np.log10(power.mean() + 1e-10)) - floor


def _agreement(heard: dict[str, Arrays], begin: float, end: float) -> float | None:
    """How sure the recogniser is of a clip's words, or the share on which two agree; None without words."""
    words = heard["words"]
    inside = _inside(words, begin, end)
    if not inside.any():
        return None
    if "second_words" not in heard:
        return float(words["probability"][inside].mean())
    second = heard["second_words"]
    return agreement(_text(words, inside), _text(second, _inside(second, begin, end)))


def _inside(words: Arrays, begin: float, end: float) -> NDArray[np.bool_]:
    return (words["start"].astype(np.float32) >= begin) & (words["end"].astype(np.float32) <= end)


def _text(words: Arrays, inside: NDArray[np.bool_]) -> str:
    return "".join(str(word) for word in words["text"][inside])


def _name(unit_id: str) -> str:
    """A recording's name as part of a clip's id: its path without ending."""
    return str(Path(unit_id).with_suffix("")).replace("/", "-").encode("utf-8", "replace").decode("utf-8")
