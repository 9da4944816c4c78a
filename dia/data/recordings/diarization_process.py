"""Diarization server: a script for the Python of an environment with pyannote.audio, without the dia package.

It prints one line of JSON with its pipeline and version. Then it reads paths of WAV files (mono, 16 bits),
one per line, and prints one line of JSON for each: [[start, end, voice], ...] in seconds, without overlaps if
the version provides that (4.0 does).
"""

import json
import sys
import wave
from typing import Any

PIPELINES = {"3": "pyannote/speaker-diarization-3.1", "4": "pyannote/speaker-diarization-community-1"}


def main() -> None:
    """Serve paths until standard input ends. Output of libraries goes to standard error."""
    answers, sys.stdout = sys.stdout, sys.stderr
    del sys.path[0]  # this file's folder, whose modules do not belong to that environment
    import pyannote.audio

    version = str(pyannote.audio.__version__)
    name = PIPELINES.get(version.split(".")[0], PIPELINES["4"])
    print(json.dumps({"model": name, "version": version}), file=answers, flush=True)
    pipeline = None
    for line in sys.stdin:
        # huggingface_hub reads the token from HF_TOKEN
        pipeline = pipeline or pyannote.audio.Pipeline.from_pretrained(name)
        if pipeline is None:  # version 3 returns None where version 4 raises
            sys.exit(f"{name} cannot be loaded: accept its terms on the Hub, and set HF_TOKEN")
        print(json.dumps(speaker_turns(pipeline, line.rstrip("\n"))), file=answers, flush=True)


def speaker_turns(pipeline: Any, path: str) -> list[tuple[float, float, str]]:
    """Return (start, end, voice) of each segment of a file."""
    import torch

    with wave.open(path) as file:
        samples = torch.frombuffer(bytearray(file.readframes(file.getnframes())), dtype=torch.int16)
        audio = {"waveform": samples[None].float() / 32768, "sample_rate": file.getframerate()}
    output = pipeline(audio)
    annotation = getattr(output, "exclusive_speaker_diarization", output)  # version 3 returns the annotation
    return [
        (float(turn.start), float(turn.end), str(voice))
        for turn, _, voice in annotation.itertracks(yield_label=True)
    ]


if __name__ == "__main__":
    main()
