"""Raw recordings as a source: models run once per recording, thresholds decide, turns become dialogues.

A recording: file -> `stages.py` (model outputs, cached by `stage_cache.py`) -> `decisions.py` (speech,
voices, words, events) -> `arousal.py` -> `dia/data/segmentation.py` (consecutive turns joined) -> quality
filters -> clips.
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

from dia.audio.files import read_audio_file, resample
from dia.config.data import DialogueLimits
from dia.config.recordings import RecordingsConfig
from dia.data.clip import Clip
from dia.data.content import content_digest
from dia.data.length_limits import LengthLimits
from dia.data.recordings.arousal import label_arousal
from dia.data.recordings.clip_quality import clip_quality
from dia.data.recordings.decisions import (
    assign_voices,
    cluster_voices,
    detect_events,
    extract_laughter,
    place_events,
    speech_segments,
    split_at_pauses,
    without_overlaps,
)
from dia.data.recordings.files import assign_splits, list_recordings
from dia.data.recordings.stage_cache import SAMPLE_RATE, Arrays, Stage, measure_cached
from dia.data.recordings.stages import build_stages
from dia.data.segmentation import TimedTurn, dialogue_of, group_turns
from dia.data.source import Tally, Unit
from dia.errors import UserError
from dia.judges.prosody import FRAMES
from dia.types import Waveform

MARGIN = 0.15  # seconds before the first and after the last turn of a clip


@dataclass(frozen=True)
class RecordingsSource:
    """Recordings; see :class:`dia.data.source.Source`. A unit is one audio file below ``path``."""

    path: str
    config: RecordingsConfig
    limits: DialogueLimits
    licence: str = "any"
    outside: bool = False

    def request(self) -> dict[str, Any]:
        """Return the files, the models and the thresholds.

        Raises :class:`UserError` without files, without a model, and when the licence does not permit the
        use.
        """
        if self.licence == "commercial" and not self.config.commercial_ok:
            raise UserError(
                f"the recordings' licence {self.config.licence} does not permit commercial use; "
                "if it does, set data.recordings.commercial_ok=true and data.recordings.licence"
            )
        settings = {
            key: value
            for key, value in asdict(self.config).items()
            if key not in ("measures", "calibration", "pyannote")
        }
        return {
            "recordings": settings,
            "files": content_digest(Path(self.path), self.files()),
            "limits": asdict(self.limits),
            "models": {stage.name: stage.identity for stage in self.stages()},
        }

    def files(self) -> list[Path]:
        """Return the audio files, sorted. Raises :class:`UserError` when there is none that can be read."""
        folder = Path(self.path)
        if not self.path or not folder.is_dir():
            raise UserError(f"data.path={self.path!r} is not a folder; give the folder of the recordings")
        return list_recordings(folder)

    def count(self) -> int:
        """Return the number of recordings."""
        return len(self.files())

    def units(self) -> Iterator[Unit]:
        """Yield a unit for each file."""
        names = [str(path.relative_to(self.path)) for path in self.files()]
        splits = assign_splits(names, self.config.splits)
        for name in names:
            yield Unit(name, splits[name], name)

    def check(self, limits: LengthLimits) -> None:
        """Do nothing: recordings have no labels."""

    def stages(self) -> list[Stage]:
        """Return the models, loaded once per process."""
        return _stages(json.dumps(asdict(self.config), sort_keys=True))

    def read(self, unit: Unit, tally: Tally) -> list[Clip]:
        """Return the labelled clips of one recording. Raises :class:`UserError` when it cannot be read."""
        path = Path(self.path) / unit.content
        if not path.resolve().is_relative_to(Path(self.path).resolve()) and not self.outside:
            raise UserError(
                f"{unit.id} is a link to a file outside of the folder; copy it, or set data.outside=true"
            )
        waveform, rate = read_audio_file(path)
        outputs = self._outputs(path, waveform, rate)
        segments = self._segments(outputs, tally)
        if not segments:
            tally.drop(unit.id, "it contains no speech and no nonverbals")
            return []
        gain = self._gain(outputs)
        recording = Clip(
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
            self._clip(recording, number, group, outputs, gain, tally)
            for number, group in enumerate(group_turns(segments, self.limits))
        ]
        return [clip for clip in clips if clip is not None]

    def _outputs(self, path: Path, waveform: Waveform, rate: int) -> dict[str, Arrays]:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        resampled = resample(waveform, rate, SAMPLE_RATE)
        return {
            stage.name: measure_cached(stage, resampled, digest, Path(self.config.measures))
            for stage in self.stages()
        }

    def _segments(self, outputs: dict[str, Arrays], tally: Tally) -> list[TimedTurn]:
        """The segments of the recording with all labels."""
        limits = self.config.thresholds
        probability = outputs["speech"]["probability"]
        middle, names = _voices(outputs, self.config)
        origin = {stage.name: next(iter(stage.identity.values())) for stage in self.stages()}
        seconds = len(outputs["prosody"]["energy"]) / FRAMES
        recognised, laughter = extract_laughter(outputs["words"], seconds, origin["words"])
        words = assign_voices(recognised, probability, middle, names)
        if hallucinated := len(recognised["text"]) - len(words):
            tally.counts["words: recognised outside speech, removed"] += hallucinated
        events = without_overlaps(detect_events(outputs["events"], limits.events, origin["events"]), laughter)
        for event in events:
            tally.counts[f"nonverbals: ({event.tag}) detected by {event.origin.split(' (')[0]}"] += 1
        segments = place_events(split_at_pauses(words, limits), words, events)
        if self.config.emotion != "prosody":
            return segments
        return label_arousal(segments, outputs["prosody"], origin["prosody"])

    def _gain(self, outputs: dict[str, Arrays]) -> float:
        """The factor to the target loudness; 1 if the recording is too short or silent for a loudness."""
        loudness = float(outputs["quality"]["loudness"][0])
        if self.config.loudness is None or not math.isfinite(loudness):
            return 1.0
        return float(10 ** ((self.config.loudness - loudness) / 20))

    def _clip(
        self,
        recording: Clip,
        number: int,
        group: list[TimedTurn],
        outputs: dict[str, Arrays],
        gain: float,
        tally: Tally,
    ) -> Clip | None:
        """The clip of consecutive turns; None, and counted, when a filter drops it."""
        name = f"{recording.id}-{number:04d}"
        begin = max(0.0, group[0].start - MARGIN)
        end = min(recording.seconds, group[-1].end + MARGIN)
        quality = clip_quality(outputs, begin, end, self.config.thresholds.speech)
        if reason := self._drop_reason(end - begin, quality, any(item.turn.text for item in group)):
            tally.drop(name, reason, start=round(begin, 2), end=round(end, 2), file=recording.id)
            return None
        turns, nonverbals = dialogue_of(group, begin)
        waveform = recording.waveform[
            round(begin * recording.sample_rate) : round(end * recording.sample_rate)
        ] * np.float32(gain)
        peak = float(np.abs(waveform).max(initial=0.0))
        waveform = waveform / peak if peak > 1 else waveform  # scale instead of clipping
        return replace(
            recording, id=name, turns=turns, nonverbals=nonverbals, waveform=waveform, quality=quality
        )

    def _drop_reason(self, seconds: float, quality: dict[str, float], words: bool) -> str | None:
        """Why a clip is dropped, None if it is not."""
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
    return build_stages(
        RecordingsConfig(
            **{key: content[key] for key in ("asr", "second_asr", "diarization", "pyannote", "mos")}
        )
    )


def _voices(outputs: dict[str, Arrays], config: RecordingsConfig) -> tuple[NDArray[np.float32], list[str]]:
    """Middles of windows in seconds and the voice of each."""
    if "pyannote" in outputs:
        return turn_points(outputs["pyannote"])
    segments = speech_segments(outputs["speech"]["probability"], config.thresholds)
    middle, embedding = outputs["voices"]["middle"].astype(np.float32), outputs["voices"]["embedding"]
    is_speech = np.array(
        [any(start <= time <= end for start, end in segments) for time in middle], dtype=bool
    )
    if not is_speech.any():
        is_speech[:] = True
    return middle[is_speech], cluster_voices(middle[is_speech], embedding[is_speech], config.thresholds)


def turn_points(turns: Arrays, step: float = 0.1) -> tuple[NDArray[np.float32], list[str]]:
    """Return times (points,) at even distances within each turn with its voice, to look up the voice of a
    word.

    The middles of turns do not suffice: the end of a long turn is nearer to the middle of a short turn after
    it.
    """
    times, voices = [np.zeros(0, dtype=np.float32)], list[str]()
    for start, end, voice in zip(turns["start"], turns["end"], turns["voice"], strict=True):
        count = max(1, round(float(end - start) / step))
        times.append(np.asarray(start + (np.arange(count) + 0.5) * (end - start) / count, dtype=np.float32))
        voices += [str(voice)] * count
    return np.concatenate(times), voices


def _name(unit_id: str) -> str:
    """The part of a clip id that names the recording: its path without suffix."""
    return str(Path(unit_id).with_suffix("")).replace("/", "-").encode("utf-8", "replace").decode("utf-8")
