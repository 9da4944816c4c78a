"""Speaker turns by pyannote.audio, in the environment that has it: a file run by that environment's Python,
which knows no dia.

Says its version and pipeline in a first line of JSON; then answers each path of a WAV file (mono, 16 bits), a
line each, with a line of JSON: [[start, end, voice], ...] in seconds, without overlaps where the version
tells them apart (4.0 does).
"""

import json
import sys
import wave
from typing import Any

PIPELINES = {"3": "pyannote/speaker-diarization-3.1", "4": "pyannote/speaker-diarization-community-1"}


def main() -> None:
    """Answer until nobody asks. What libraries print goes to standard error."""
    answers, sys.stdout = sys.stdout, sys.stderr
    del sys.path[0]  # this file's folder, whose modules are none of that environment's
    import pyannote.audio

    version = str(pyannote.audio.__version__)
    name = PIPELINES.get(version.split(".")[0], PIPELINES["4"])
    print(json.dumps({"model": name, "version": version}), file=answers, flush=True)
    pipeline = None
    for line in sys.stdin:
        pipeline = pipeline or pyannote.audio.Pipeline.from_pretrained(
            name
        )  # the token is huggingface_hub's, from HF_TOKEN
        if pipeline is None:  # what 3.x returns where 4.x raises
            sys.exit(f"{name} cannot be had: accept its terms on the Hub, and set HF_TOKEN")
        print(json.dumps(turns(pipeline, line.rstrip("\n"))), file=answers, flush=True)


def turns(pipeline: Any, path: str) -> list[tuple[float, float, str]]:
    """Return (start, end, voice) of every stretch in a file."""
    import torch

    with wave.open(path) as file:
        samples = torch.frombuffer(bytearray(file.readframes(file.getnframes())), dtype=torch.int16)
        sound = {"waveform": samples[None].float() / 32768, "sample_rate": file.getframerate()}
    output = pipeline(sound)
    annotation = getattr(output, "exclusive_speaker_diarization", output)  # 3.x returns the annotation itself
    return [
        (float(turn.start), float(turn.end), str(voice))
        for turn, _, voice in annotation.itertracks(yield_label=True)
    ]


if __name__ == "__main__":
    main()
