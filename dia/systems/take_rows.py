"""Build a take from its responses: one waveform, and one row of `outputs.jsonl` even for a failed take."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dia.systems.declaration import SystemDeclaration
from dia.systems.planning import TakeJob
from dia.systems.recording_files import JsonRow
from dia.systems.recording_folder import RecordingFolder
from dia.systems.response_audio import (
    DecodedAudio,
    InvalidAudio,
    decode_audio,
    integrated_loudness,
    pcm16_wav_bytes,
)
from dia.types import Waveform

REQUEST_KEYS = (
    "part",
    "attempt",
    "requested_at",
    "latency_ms",
    "http_status",
    "request_id",
    "request",
    "cost_units",
    "cost_from",
    "raw_path",
    "raw_sha256",
    "sdk_version",
    "error_kind",
    "message",
)
AUDIO_KEYS = (
    "wav_path",
    "wav_sha256",
    "sample_rate",
    "channels",
    "duration_s",
    "loudness_lufs",
    "turn_times",
)
NO_AUDIO: Mapping[str, Any] = dict.fromkeys(AUDIO_KEYS)


@dataclass(frozen=True)
class TakeWriter:
    """Write the takes of one system into one folder."""

    folder: RecordingFolder
    declaration: SystemDeclaration

    def build_row(self, job: TakeJob, parts: list[JsonRow]) -> JsonRow:
        """Return the row of a take whose requests are all done; write its waveform when all succeeded."""
        failed = next((part for part in parts if part.get("error_kind")), None)
        if job.error_kind:
            audio, kind, message = NO_AUDIO, job.error_kind, job.message
        elif failed:
            audio, kind, message = NO_AUDIO, failed["error_kind"], failed["message"]
        else:
            audio, kind, message = self._write_audio(job, parts)
        return {**self._describe(job), **_summarize(parts), **audio, "error_kind": kind, "message": message}

    def _describe(self, job: TakeJob) -> JsonRow:
        return {
            "prompt_id": job.prompt.id,
            "take": job.take,
            "prompt": job.prompt.to_json(),
            "system": self.declaration.name,
            "model_id": self.declaration.model,
            "client": self.declaration.client,
            "rendered_script": job.rendered.text,
            "dropped": list(job.rendered.dropped),
            "tag_map_version": self.declaration.tag_map_version,
            "voices": self.declaration.voices,
            "seed": job.take,
            "seed_honoured": self.declaration.seed_honoured,
        }

    def _write_audio(self, job: TakeJob, parts: list[JsonRow]) -> tuple[Mapping[str, Any], str, str]:
        try:
            segments = [
                decode_audio((self.folder.path / part["raw_path"]).read_bytes(), self.declaration.format)
                for part in parts
            ]
            waveform, rate, spans = join_segments(segments, self.declaration.turn_gap_seconds)
        except InvalidAudio as error:
            return NO_AUDIO, error.kind, str(error)
        name = f"{self.folder.file_name(job.prompt.id)}-take{job.take}.wav"
        path, digest = self.folder.write_wav(name, pcm16_wav_bytes(waveform, rate))
        row = {
            "wav_path": path,
            "wav_sha256": digest,
            "sample_rate": rate,
            "channels": max(segment.channels for segment in segments),
            "duration_s": round(len(waveform) / rate, 6),
            "loudness_lufs": integrated_loudness(waveform, rate),
            "turn_times": None if _dropped_turns(job) else _turn_times(job, parts, spans),
        }
        return row, "", ""


def join_segments(
    segments: list[DecodedAudio], gap_seconds: float
) -> tuple[Waveform, int, list[list[float]]]:
    """Return the concatenation (float32), the sample rate, and each segment's start and end in seconds.

    Raises :class:`InvalidAudio` when the sample rates differ.
    """
    rates = {segment.sample_rate for segment in segments}
    if len(rates) != 1:
        listed = ", ".join(map(str, sorted(rates)))
        raise InvalidAudio("mixed_sample_rates", f"the responses have different sample rates: {listed} Hz")
    rate = rates.pop()
    gap = np.zeros(round(gap_seconds * rate), np.float32)
    pieces: list[Waveform] = []
    times: list[list[float]] = []
    position = 0
    for number, segment in enumerate(segments):
        if number:
            pieces.append(gap)
            position += len(gap)
        pieces.append(segment.waveform)
        times.append([position / rate, (position + len(segment.waveform)) / rate])
        position += len(segment.waveform)
    return np.concatenate(pieces), rate, times


def _turn_times(job: TakeJob, parts: list[JsonRow], spans: list[list[float]]) -> list[list[float]] | None:
    """Return each turn's start and end in seconds, None when a response of several turns has none."""
    times: list[list[float]] = []
    for request, part, span in zip(job.requests, parts, spans, strict=True):
        stated = part.get("turn_times")
        if len(request.turns) == 1:
            times.append(span)
        elif stated and len(stated) == len(request.turns):
            times += [[span[0] + start, min(span[0] + end, span[1])] for start, end in stated]
        else:
            return None
    return times


def _dropped_turns(job: TakeJob) -> bool:
    return any(dropped.startswith("[") for dropped in job.rendered.dropped)


def _summarize(parts: list[JsonRow]) -> JsonRow:
    """Return the totals over a take's requests, and the requests themselves."""
    costs = [part["cost_units"] for part in parts if part.get("cost_units") is not None]
    return {
        "requested_at": parts[0]["requested_at"] if parts else None,
        "latency_ms": round(sum(part["latency_ms"] for part in parts), 1) if parts else None,
        "http_status": parts[-1]["http_status"] if parts else None,
        "cost_units": sum(costs) if costs else None,
        "attempts": sum(part["attempt"] for part in parts),
        "parts": [{key: part[key] for key in REQUEST_KEYS if key in part} for part in parts],
    }
