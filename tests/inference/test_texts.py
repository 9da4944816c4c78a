"""What the model reads is what the linter judged, on the command line as in Python."""

import logging

import numpy as np
import pytest
import torch

from dia.cli.commands import commands_of
from dia.cli.run import read_config
from dia.codecs.spectral import SpectralCodec
from dia.codecs.spectral_network import SpectralNetwork
from dia.config.choices import LintLevel
from dia.config.generate import GenerateConfig
from dia.dialogue import Vocabulary
from dia.errors import UserError
from dia.generate import configuration_problems, main
from dia.inference import Sampling, batch, loading
from dia.model import Dia
from dia.network import DiaNetwork
from tests.conftest import TINY, TINY_CODEC
from tests.dialogue.test_lint import ERRORS, LEGAL, WARNINGS

TEXT = "[S1] Ha\n(laugh)  ha (WHO)."
READ = "[S1] Ha (laughs) ha (WHO)."
TRANSCRIPT = "[S1] Hi, you (giggle)."
STEPS = 24


def model(vocabulary=None):
    torch.manual_seed(0)
    codec = SpectralCodec(SpectralNetwork(TINY_CODEC), "tiny")
    return Dia.from_network(DiaNetwork(TINY).eval(), codec, Sampling(), vocabulary)


@pytest.fixture
def dia():
    return model()


@pytest.fixture
def voice(dia):
    noise = (0.1 * np.random.default_rng(0).standard_normal(16_000 // 2)).astype(np.float32)
    return dia.make_voice(noise, TRANSCRIPT, shortest=0.4)


@pytest.fixture
def reads(monkeypatch):
    """The texts that the model reads."""
    texts, encode = [], batch.encode_texts

    def watched(some):
        texts.extend(some)
        return encode(some)

    monkeypatch.setattr(batch, "encode_texts", watched)
    return texts


CALLS = {
    "generate": lambda dia, text, **more: dia.generate(text, STEPS, seed=1, **more),
    "a batch": lambda dia, text, **more: dia.generate([text], STEPS, seed=1, **more),
    "with retries": lambda dia, text, **more: dia.generate(text, STEPS, seed=1, retries=1, **more),
    "stream": lambda dia, text, **more: list(dia.stream(text, STEPS, seed=1, **more)),
    "speak": lambda dia, text, **more: dia.speak([text], [1], STEPS, **more),
}


@pytest.mark.parametrize("name", CALLS)
def test_every_call_reads_the_linted_text_and_warns_once(name, dia, reads, caplog):
    CALLS[name](dia, TEXT)
    assert set(reads) == {READ}
    assert [record.getMessage()[:6] for record in caplog.records if "is not a tag" in record.message] == [
        "(WHO) "
    ]
    reads.clear()
    CALLS[name](dia, TEXT, lint="off")
    assert set(reads) == {TEXT}
    with pytest.raises(UserError, match=r"\(WHO\) is not a tag"):
        CALLS[name](dia, TEXT, lint="error")
    with pytest.raises(UserError, match="lint=loud is unknown"):
        CALLS[name](dia, TEXT, lint="loud")
    for text in ("", "[S1]", "[S1] a\x01b", "[S1] Hi. [S3] No."):
        with pytest.raises(UserError):
            CALLS[name](dia, text)


@pytest.mark.parametrize("name", CALLS)
def test_a_text_without_a_speaker_is_spoken_with_a_warning(name, dia, reads, caplog):
    CALLS[name](dia, "Hello there.")
    assert set(reads) == {"Hello there."} and "does not begin with a speaker" in caplog.text


def test_a_model_without_a_codec_judges_alike(reads):
    dia = Dia.from_network(DiaNetwork(TINY).eval(), None, Sampling())
    dia.generate(TEXT, STEPS, seed=1)
    assert reads == [READ]


def test_a_voice_stores_and_reads_its_linted_transcript(dia, voice, reads):
    assert voice.transcript == "[S1] Hi, you (laughs)."
    dia.generate(TEXT, STEPS, seed=1, voice=voice)
    assert reads == [f"[S1] Hi, you (laughs). {READ}"]
    list(dia.speak_long(TEXT, voice, seed=1, retries=0))
    assert reads[1:] == [f"[S1] Hi, you (laughs). [S1] {part}" for part in ("Ha", "(laughs)", "ha", "(WHO).")]


def test_a_speaker_tag_at_the_end_stays_with_the_last_piece(dia, voice, reads):
    text = " ".join(f"[S1] So this is turn {place}." for place in range(5))
    list(dia.speak_long(f"{text} [S2]", voice, retries=0))
    pieces = [read.removeprefix(voice.transcript).strip() for read in reads]
    assert len(pieces) >= 5 and pieces[-1].endswith(". [S2]") and "[S2]" not in "".join(pieces[:-1])
    dia.generate("[S1] So it is. [S2]", STEPS, voice=voice)  # it does not speak, so that no voice is needed


def test_a_voice_warns_or_refuses_as_the_linter_does(dia, caplog):
    noise = (0.1 * np.random.default_rng(0).standard_normal(16_000)).astype(np.float32)
    make = {"audio": noise, "transcript": "[S1] Hello there (WHO).", "shortest": 0.5}
    assert dia.make_voice(**make).transcript == "[S1] Hello there (WHO)."
    assert "(WHO) is not a tag" in caplog.text
    caplog.clear()
    assert dia.make_voice(**make | {"transcript": "[S2]  Hello there (laugh)."}, lint="off").transcript == (
        "[S2]  Hello there (laugh)."
    )
    assert not caplog.records
    with pytest.raises(UserError, match=r"\(WHO\) is not a tag"):
        dia.make_voice(**make, lint="error")
    with pytest.raises(UserError, match="does not begin with a speaker"):
        dia.make_voice(**make | {"transcript": "Hello there my friend."})


ALL = [*((text, "") for text in LEGAL), *ERRORS, *WARNINGS]


@pytest.mark.parametrize("text", [text for text, _ in ALL])
def test_the_command_line_and_python_judge_alike(text):
    dia = Dia.from_network(DiaNetwork(TINY).eval(), None, Sampling())
    for level in ("warn", "error", "off"):
        config = GenerateConfig(text=text, lint=LintLevel(level))
        said = [problem for problem in configuration_problems(config) if "text is empty" not in problem]
        try:
            dia.check_text(text, lint=level)
            refused = []
        except UserError as error:
            refused = [line.removeprefix("  - ") for line in str(error).split("\n")[1:]]
        assert said == [problem for problem in refused if "the text is empty" not in problem]


def test_the_command_line_warns_once_for_all_seeds_and_speaks(dia, reads, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Dia, "from_pretrained", lambda *_, **__: dia)
    main([f"text={TEXT}", "seed=0,1", "max_seconds=1", "out=a.wav"])
    said = capsys.readouterr().err
    assert said.count("warning: (WHO) is not a tag that Dia knows") == 1
    assert said.count(f"the model reads {READ}") == 1
    assert reads == [READ, READ]
    main([f"text={TEXT}", "max_seconds=1", "out=b.wav", "lint=off"])
    assert reads[2:] == [TEXT.replace("\n", " ")] or reads[2:] == [TEXT]
    assert "WHO" not in capsys.readouterr().err
    with pytest.raises(SystemExit) as left:
        main([f"text={TEXT}", "max_seconds=1", "out=c.wav", "lint=error"])
    assert left.value.code == 2 and "(WHO) is not a tag" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a_seed0.wav", "a_seed1.wav", "b.wav"]
    with pytest.raises(UserError, match="lint"):
        read_config(commands_of("generate")[""], ["text=[S1] Hi.", "lint=loud"])


def test_a_text_longer_than_the_model_is_a_warning(dia, voice):
    text = "[S1] " + "We said what there was to say. " * 4  # about 8 s; the tiny model has 2.3 s
    assert dia.check_text(text, one_pass=False) == text.strip()
    for given in (None, voice):
        with pytest.raises(UserError, match="too long for one pass"):
            dia.check_text(text, given, lint="error")


def test_a_model_of_few_words_says_which_it_does_not_know(caplog):
    dia = model(Vocabulary.of_scripts(["[S1] We love rain."]))
    dia.generate("[S1] We love snow.", STEPS)
    assert "trained on 3 words and tags, without snow" in caplog.text
    assert Dia.from_pretrained("dia_nano", load_dac=False, device="cpu").vocabulary is not None


def test_an_adapter_may_teach_words(monkeypatch):
    monkeypatch.setattr(loading, "load_adapter", lambda folder: None)
    monkeypatch.setattr(loading, "merge_adapter", lambda *_: None)
    dia = Dia.from_pretrained("dia_nano", load_dac=False, device="cpu", adapter="any")
    assert dia.vocabulary is None


@pytest.fixture(autouse=True)
def logged(caplog):
    caplog.set_level(logging.INFO, "dia")
