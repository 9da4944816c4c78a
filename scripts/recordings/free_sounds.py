"""Write recordings under free licences into a folder, for a detector that may be shipped.

    python scripts/recordings/free_sounds.py FOLDER PREPARED
    python -m dia.train +recipe=event_detector event_detector.folder=FOLDER \
        event_detector.labels=eval/detectors/free.yaml

FOLDER/human_sounds holds the recordings of data/human_sounds by tag, FOLDER/voices the turns without a
nonverbal of the prepared data set PREPARED (of `data=open_english`), a folder for each voice.
"""

import re
import sys
from pathlib import Path

import soundfile

from dia.audio.files import waveform_from_bytes
from dia.data.prepared import open_prepared
from dia.data.sources.demo_scripts import SPLITS
from dia.data.sources.human_sounds import read_human_sounds
from dia.files import make_folder, write_bytes

LEAST_SECONDS = 1.5


def write_sounds(folder: Path) -> int:
    """Write the recordings as TAG/PERSON_ID.ogg and return their number."""
    count = 0
    for split in SPLITS:
        for tag, sounds in read_human_sounds(split).items():
            make_folder(folder / tag)
            for sound in sounds:
                write_bytes(folder / tag / f"{sound.person.replace(' ', '-')}_{sound.id}.ogg", sound.audio)
            count += len(sounds)
    return count


def write_speech(prepared: Path, folder: Path) -> int:
    """Write the turns without a nonverbal as VOICE/CLIP-TURN.wav and return their number."""
    count = 0
    for rows in open_prepared(prepared).values():
        for row in rows:
            waveform, rate = waveform_from_bytes(row["audio"]["bytes"])
            busy = {item["turn"] for item in row["nonverbals"]}
            for number, turn in enumerate(row["turns"]):
                if number in busy or turn["end"] - turn["start"] < LEAST_SECONDS:
                    continue
                voice = re.sub(r"[^\w+-]+", "-", turn["voice"])
                make_folder(folder / voice)
                samples = waveform[round(turn["start"] * rate) : round(turn["end"] * rate)]
                soundfile.write(folder / voice / f"{row['id']}-{number}.wav", samples, rate)
                count += 1
    return count


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    out, source = map(Path, sys.argv[1:])
    print(
        f"{write_sounds(out / 'human_sounds')} sounds, {write_speech(source, out / 'voices')} turns in {out}"
    )
