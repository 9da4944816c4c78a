"""`python -m dia.voice make` and `show`."""

import numpy as np
import pytest
import soundfile

from dia.inference import Voice
from dia.model import Dia
from dia.voice import main
from tests.processes import run_door

TRANSCRIPT = "[S1] We walked along the river until the light was gone, and nobody said a word to us."


@pytest.fixture
def recording(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    noise = 0.1 * np.random.default_rng(0).standard_normal(6 * 22_050)
    soundfile.write("anna.wav", noise, 22_050)
    (tmp_path / "anna.txt").write_text("[S1] We walked along the river until the light\nwas gone, and nobody "
                                       "said a word to us.\n")  # fmt: skip
    return tmp_path


def refused(arguments, capsys):
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    return capsys.readouterr().err


def test_a_voice_is_made_of_a_recording_and_speaks(recording, capsys):
    main(["make", "anna.wav", "text=@anna.txt"])
    assert "wrote anna.voice: 6.0 s for models with the codec codec_open" in capsys.readouterr().out
    voice, dia = Voice.load("anna.voice"), Dia.from_pretrained(device="cpu")
    same = dia.make_voice("anna.wav", TRANSCRIPT)
    assert voice.transcript == TRANSCRIPT and np.array_equal(voice.codes_TC, same.codes_TC)
    assert voice.fingerprint == dia.codec.fingerprint
    main(["show", "anna.voice"])
    said = capsys.readouterr().out
    for part in (TRANSCRIPT, "6.00 s: 150 frames of 8 codes", "codec_open", "characters a second"):
        assert part in said, part
    assert "unusual" not in said


def test_every_problem_is_reported_and_nothing_is_written(recording, capsys):
    assert "name a recording" in refused(["make"], capsys)
    assert "text=... is missing" in refused(["make", "anna.wav"], capsys)
    assert "transkript is unknown" in refused(["make", "anna.wav", "transkript=x"], capsys)
    assert "there is no audio file at ben.wav" in refused(["make", "ben.wav", f"text={TRANSCRIPT}"], capsys)
    assert "6.0 s long; give 7 to 10 s" in refused(
        ["make", "anna.wav", f"text={TRANSCRIPT}", "shortest=7"], capsys
    )
    assert "shortest=x must be a number" in refused(["make", "anna.wav", "text=[S1] x", "shortest=x"], capsys)
    assert "1.5 characters per second" in refused(["make", "anna.wav", "text=[S1] Anna, hey"], capsys)
    assert "a folder that exists" in refused(
        ["make", "anna.wav", f"text={TRANSCRIPT}", "out=no/a.voice"], capsys
    )
    assert "missing or damaged" in refused(["show", "anna.wav"], capsys)
    assert "did you mean make" in refused(["mak"], capsys)
    assert sorted(path.name for path in recording.iterdir()) == ["anna.txt", "anna.wav"]


def test_the_module_is_a_front_door(recording):
    done = run_door("voice", "make", "anna.wav", "text=@anna.txt", "out=a.voice", cwd=recording)
    assert done.returncode == 0, done.stderr
    done = run_door("voice", "show", "a.voice", cwd=recording)
    assert done.returncode == 0 and TRANSCRIPT in done.stdout
    assert run_door("voice", "show", "b.voice", cwd=recording).returncode == 2
