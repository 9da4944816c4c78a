"""Who said which words: cpWER and tcpWER of a transcript whose speakers are told by the sound, and cpSIM.

The transcript's speakers come from `dia/evaluation/diarization.py`, without a look at the script. Source of
the rates: T. von Neumann et al., "MeetEval", 2023. cpSIM follows ZipVoice's (each found voice against the
prompts', best of the permutations), save that a clip in which there are not just as many voices as in the
script fails, and is counted; nothing stands in for it.
"""

import logging
from collections.abc import Sequence
from itertools import permutations
from typing import Any

import numpy as np

from dia.dialogue import Script
from dia.evaluation.diarization import runs, voices_of_words
from dia.evaluation.metrics.protocol import (
    NOT_MEASURED,
    Clip,
    Context,
    Origin,
    Part,
    Row,
    Values,
    not_measured,
    origin_of,
    parts_of,
    rate,
    ratio,
)  # fmt: skip
from dia.evaluation.metrics.words import NORMALISER, normalisation_stamp
from dia.evaluation.shared_models import Hearing
from dia.judges.recording import Recording, Times
from dia.judges.speakers import Embedding, SpeakerEncoder
from dia.judges.transcription import RecognisedWord, transcript
from dia.judges.words import reference_words, transcript_words

SHORTEST = 0.01  # seconds of a segment; MeetEval refuses one that ends where it begins
COLLAR = 5.0  # seconds that tcpWER forgives, MeetEval's usual one


class AttributedWords:
    """cpWER and tcpWER by MeetEval."""

    name, reads = "cpwer", ()

    def __init__(self, hearing: Hearing) -> None:
        self.hearing = hearing
        self.version = f"1, {normalisation_stamp()}"

    def provenance(self) -> Origin:
        """Return recogniser, encoder of the windows, and aligner."""
        hearing = self.hearing
        return origin_of(
            hearing.recogniser, hearing.encoder, hearing.alignment, needs=("meeteval", NORMALISER)
        )

    def measure(self, recording: Recording, context: Context) -> Values:
        """Return errors of both, the words they are out of, and how many voices the clip and the script have.

        `timed_errors` is None where a turn of the script was not found, for then nobody knows when it should
        be heard.
        """
        heard = self.hearing.words(recording)
        voices = voices_of_words(heard, *self.hearing.windows(recording)) if heard else []
        found = [_segment(voice, run) for voice, run in runs(heard, voices)]
        wanted = _references(recording.script, self.hearing.turns(recording))
        words = sum(len(turn["words"].split()) for turn in wanted)
        if not words:
            return {NOT_MEASURED: "the script has no words"}
        return {
            "errors": _cp_errors(wanted, found), "timed_errors": _timed_errors(wanted, found), "words": words,
            "voices": len(set(voices)), "speakers": len({turn.speaker for turn in recording.script.turns}),
        }  # fmt: skip

    def summarise(self, clips: Sequence[Clip]) -> list[Row]:
        """Return `cpwer`, `tcpwer` and `voices_wrong`, the share of clips whose number of voices is not the
        script's.
        """
        untimed = sum(clip.measured and clip.values["timed_errors"] is None for clip in clips)
        miscounted = [
            Part(clip.prompt.id, float(clip.values["voices"] != clip.values["speakers"]))
            for clip in clips
            if clip.measured
        ]
        nothing = "no clip has words"
        return [
            ratio("cpwer", parts_of(clips, "errors", "words"), nothing, -1, not_measured=not_measured(clips)),
            ratio(
                "tcpwer",
                parts_of(clips, "timed_errors", "words"),
                "no clip's turns were all found",
                -1,
                clips_without_times=untimed,
            ),
            rate("voices_wrong", miscounted, nothing, -1),
        ]


class PermutedSimilarity:
    """cpSIM: ``encoder``'s similarity of each voice that is found in a clip to the prompts' voices."""

    name, version, reads = "cpsim", "1", ("voices",)

    def __init__(self, hearing: Hearing, encoder: SpeakerEncoder | None = None) -> None:
        self.hearing, self.encoder = hearing, encoder or hearing.encoder

    def provenance(self) -> Origin:
        """Return the encoder, that of the windows, and the recogniser."""
        return origin_of(self.encoder, self.hearing.encoder, self.hearing.recogniser)

    def measure(self, recording: Recording, context: Context) -> Values:
        """Return the similarity (None where the number of voices is wrong) and the number of voices."""
        voices = self.hearing.enroll(self.encoder, context.voices)
        speakers = sorted({turn.speaker for turn in recording.script.turns})
        if missing := [speaker for speaker in speakers if speaker not in voices]:
            return {
                NOT_MEASURED: "no prompt voice is known of " + ", ".join(f"S{speaker}" for speaker in missing)
            }
        heard = self.hearing.words(recording)
        labels = voices_of_words(heard, *self.hearing.windows(recording)) if heard else []
        times: dict[int, list[Times]] = {}
        for voice, run in runs(heard, labels):
            times.setdefault(voice, []).append((run[0].start, run[-1].end))
        found = [_joined(self.encoder, recording, own) for own in times.values()]
        known = [embedding for embedding in found if embedding is not None]
        counted = {"voices": len(found), "speakers": len(speakers)}
        if len(found) != len(speakers) or len(known) != len(speakers):
            return {**counted, "similarity": None}
        return {**counted, "similarity": best_permutation(known, [voices[speaker] for speaker in speakers])}

    def summarise(self, clips: Sequence[Clip]) -> list[Row]:
        """Return `cpsim`, and `cpsim_failed`: the share of clips without just as many voices as the script
        has.
        """
        measured = [clip for clip in clips if clip.measured]
        failed = [Part(clip.prompt.id, float(clip.values["similarity"] is None)) for clip in measured]
        counts = [clip.values["voices"] for clip in measured]
        voices = {str(number): counts.count(number) for number in sorted(set(counts))}
        reasons = not_measured(clips)
        nothing = next(iter(reasons), "in no clip are there as many voices as in the script")
        return [
            ratio("cpsim", parts_of(clips, "similarity"), nothing, 1, voices=voices, not_measured=reasons),
            rate("cpsim_failed", failed, nothing, -1),
        ]


def best_permutation(found: Sequence[Embedding], wanted: Sequence[Embedding]) -> float:
    """Return the highest mean similarity over the ways to match as many unit embeddings with each other."""
    return max(
        float(np.mean([one @ other for one, other in zip(order, wanted, strict=True)]))
        for order in permutations(found)
    )


def _joined(encoder: SpeakerEncoder, recording: Recording, times: Sequence[Times]) -> Embedding | None:
    """The embedding of several stretches as one."""
    rate_ = recording.sample_rate
    waveform = np.concatenate(
        [recording.waveform[int(start * rate_) : int(end * rate_)] for start, end in times]
    )
    joined = Recording(recording.prompt_id, recording.system, recording.script, waveform, rate_)
    return encoder.embed(joined, (0.0, len(waveform) / rate_))


def _segment(voice: int, run: Sequence[RecognisedWord]) -> dict[str, Any]:
    """What one voice says at a stretch, for MeetEval; normalised as a whole, for "twenty five" is one
    number.
    """
    start, end = run[0].start, max(run[-1].end, run[0].start + SHORTEST)
    words = " ".join(transcript_words(transcript(list(run))))
    return {
        "session_id": "clip",
        "speaker": f"v{voice}",
        "words": words,
        "start_time": start,
        "end_time": end,
    }


def _references(script: Script, times: Sequence[Times | None]) -> list[dict[str, Any]]:
    """The script's turns for MeetEval, without times where they are not known."""
    return [
        {
            "session_id": "clip",
            "speaker": f"S{turn.speaker}",
            "words": " ".join(reference_words(Script((turn,)))),
        }
        | ({} if found is None else {"start_time": found[0], "end_time": max(found[1], found[0] + SHORTEST)})
        for turn, found in zip(script.turns, times, strict=True)
    ]


def _cp_errors(wanted: list[dict[str, Any]], found: list[dict[str, Any]]) -> int:
    """Errors of each speaker's words as one text, in order."""
    import meeteval

    logging.getLogger("preprocess").setLevel(
        logging.ERROR
    )  # it warns that texts without times are not sorted; they are in order
    return int(meeteval.wer.cp_word_error_rate(_texts(wanted), _texts(found)).errors)


def _timed_errors(wanted: list[dict[str, Any]], found: list[dict[str, Any]]) -> int | None:
    import meeteval

    spoken = [turn for turn in wanted if turn["words"]]
    if any("start_time" not in turn for turn in spoken):
        return None
    segments = meeteval.io.SegLST(spoken), meeteval.io.SegLST(found)
    if not found:
        return sum(len(turn["words"].split()) for turn in spoken)
    counted = meeteval.wer.time_constrained_minimum_permutation_word_error_rate(*segments, collar=COLLAR)
    return int(counted.errors)


def _texts(segments: list[dict[str, Any]]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for segment in segments:
        texts[segment["speaker"]] = f"{texts.get(segment['speaker'], '')} {segment['words']}".strip()
    return texts
