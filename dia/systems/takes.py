"""A take from its parts: one waveform, and one row of `outputs.jsonl`, whether it came to be or not."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dia.systems.declaration import Declaration
from dia.systems.jobs import Job
from dia.systems.run_folder import RunFolder
from dia.systems.sound import BadSound, Sound, decode, loudness, wav_bytes

Row = dict[str, Any]
OF_A_PART = (
    "part", "attempt", "requested_at", "latency_ms", "http_status", "request_id", "request", "cost_units", "cost_from",
    "raw_path", "raw_sha256", "sdk_version", "error_kind", "message",
)  # fmt: skip
NO_SOUND: Mapping[str, Any] = {
    "wav_path": None, "wav_sha256": None, "sample_rate": None, "channels": None, "duration_s": None, "loudness_lufs": None,
    "turn_times": None,
}  # fmt: skip


@dataclass(frozen=True)
class Maker:
    """Makes takes of one system into one folder."""

    folder: RunFolder
    declaration: Declaration

    def row(self, job: Job, parts: list[Row]) -> Row:
        """Return the row of a take of which every part was answered or refused; the waveform is written when
        all were answered.
        """
        failed = next((part for part in parts if part.get("error_kind")), None)
        if job.refused:
            sound, kind, message = NO_SOUND, job.refused, job.message
        elif failed:
            sound, kind, message = NO_SOUND, failed["error_kind"], failed["message"]
        else:
            sound, kind, message = self._sound(job, parts)
        return {**self._asked(job), **_sums(parts), **sound, "error_kind": kind, "message": message}

    def _asked(self, job: Job) -> Row:
        declared = self.declaration
        return {
            "prompt_id": job.prompt.id, "take": job.take, "prompt": asdict(job.prompt), "system": declared.name,
            "model_id": declared.model, "client": declared.client,
            "dialect_text": job.dialect.text, "dropped": list(job.dialect.dropped),
            "tag_map_version": declared.tag_map_version, "voices": declared.voices, "seed": job.take,
            "seed_honoured": declared.seed_honoured,
        }  # fmt: skip

    def _sound(self, job: Job, parts: list[Row]) -> tuple[Mapping[str, Any], str, str]:
        try:
            sounds = [
                decode((self.folder.path / part["raw_path"]).read_bytes(), self.declaration.format)
                for part in parts
            ]
            waveform, rate, times = join(sounds, self.declaration.turn_gap_seconds)
        except BadSound as error:
            return NO_SOUND, error.kind, str(error)
        name = f"{self.folder.file_name(job.prompt.id)}-take{job.take}.wav"
        path, digest = self.folder.keep_wav(name, wav_bytes(waveform, rate))
        one_each = all(len(call.lines) == 1 for call in job.calls)
        row = {
            "wav_path": path, "wav_sha256": digest, "sample_rate": rate, "channels": max(sound.channels for sound in sounds),
            "duration_s": round(len(waveform) / rate, 6), "loudness_lufs": loudness(waveform, rate),
            "turn_times": times if one_each and not _turns_dropped(job) else None,
        }  # fmt: skip
        return row, "", ""


def join(sounds: list[Sound], gap_seconds: float) -> tuple[np.ndarray, int, list[list[float]]]:
    """Return the sounds one after another as float32 (samples,), the sample rate, and each one's start and
    end in seconds.

    Raises :class:`BadSound` when their sample rates differ.
    """
    rates = {sound.sample_rate for sound in sounds}
    if len(rates) != 1:
        raise BadSound("mixed_sample_rates", f"the parts come at {', '.join(map(str, sorted(rates)))} Hz")
    rate = rates.pop()
    gap, pieces, times, done = np.zeros(round(gap_seconds * rate), np.float32), [], [], 0
    for number, sound in enumerate(sounds):
        if number:
            pieces.append(gap)
            done += len(gap)
        pieces.append(sound.waveform)
        times.append([done / rate, (done + len(sound.waveform)) / rate])
        done += len(sound.waveform)
    return np.concatenate(pieces), rate, times


def _turns_dropped(job: Job) -> bool:
    return any(dropped.startswith("[") for dropped in job.dialect.dropped)


def _sums(parts: list[Row]) -> Row:
    """What the parts come to, and the parts themselves."""
    costs = [part["cost_units"] for part in parts if part.get("cost_units") is not None]
    return {
        "requested_at": parts[0]["requested_at"] if parts else None,
        "latency_ms": round(sum(part["latency_ms"] for part in parts), 1) if parts else None,
        "http_status": parts[-1]["http_status"] if parts else None,
        "cost_units": sum(costs) if costs else None,
        "attempts": sum(part["attempt"] for part in parts),
        "parts": [{key: part[key] for key in OF_A_PART if key in part} for part in parts],
    }
