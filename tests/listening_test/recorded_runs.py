"""Write recorded runs in the recorder's layout, with synthetic hums as audio."""

import hashlib
import json

import numpy as np
import soundfile


def hum(seconds=1.2, pitch=140, rate=44_100, silence=(0.7, 0.9), level=0.2):
    """Return a voice-like hum with harmonics and slow beats, between silences; float (samples,)."""
    time = np.arange(int(seconds * rate)) / rate
    sound = sum(np.sin(2 * np.pi * pitch * number * time) / number for number in range(1, 9))
    sound *= (1.2 + np.sin(2 * np.pi * 3 * time)) * level / 3
    before, after = (np.zeros(int(length * rate)) for length in silence)
    return np.concatenate((before, sound, after))


def record(
    folder,
    system,
    prompts,
    pitch=140,
    failures=(),
    takes=1,
    level=0.2,
    rate=44_100,
    seconds=1.2,
    silence=(0.7, 0.9),
):
    """Write a run folder and return it."""
    (folder / "wav").mkdir(parents=True)
    rows = [
        row(
            folder,
            system,
            prompt,
            take,
            pitch + 5 * place,
            prompt in failures,
            {"seconds": seconds, "rate": rate, "level": level, "silence": silence},
        )
        for place, prompt in enumerate(prompts)
        for take in range(takes)
    ]
    (folder / "manifest.json").write_text(json.dumps({"system": system}))
    write_rows(folder, rows)
    return folder


def row(folder, system, prompt, take, pitch, failed, audio):
    shared = {
        "prompt_id": prompt,
        "take": take,
        "system": system,
        "script": f"[S1] This is {prompt}. (laughs) [S2] So it is.",
    }
    if failed:
        return shared | {"wav_path": None, "wav_sha256": None, "sample_rate": None, "error_kind": "timeout"}
    path = folder / "wav" / f"{prompt}-{take}.wav"
    soundfile.write(path, hum(pitch=pitch + take, **audio), audio["rate"])
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return shared | {
        "wav_path": f"wav/{path.name}",
        "wav_sha256": digest,
        "sample_rate": audio["rate"],
        "error_kind": None,
    }


def write_rows(folder, rows):
    (folder / "outputs.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))


def read_rows(folder):
    return [json.loads(line) for line in (folder / "outputs.jsonl").read_text().splitlines()]
