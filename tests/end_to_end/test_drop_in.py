"""Code written for nari-labs/dia runs unchanged: the calls of its six examples, against a local Hub cache and
DAC's own cache.

The network is a tiny random one in nari's layout with the channels and codes of Dia-1.6B; it never ends by
itself.
"""

import runpy
from dataclasses import replace
from pathlib import Path

import dac
import huggingface_hub
import numpy as np
import pytest
import soundfile
import torch

from dia.model import ComputeDtype, Dia
from dia.network import DiaConfig, DiaNetwork
from tests.checkpoint.test_layouts import nari_folder
from tests.conftest import TINY
from tests.processes import start_process

HUB_ID = "nari-labs/Dia-1.6B-0626"
STEPS = 640  # the compiled step changes its shapes after 512
BEGIN = """
from dia.model import Dia
model = Dia.from_pretrained("nari-labs/Dia-1.6B-0626", compute_dtype="float16")
script = "[S1] It was late, and the rain had stopped. [S2] Then we went out. (sighs)"
answer = "[S1] Did you see the river? [S2] I did. [S1] And? (laughs)"
"""
SETTINGS = "verbose=True, temperature=1.8, top_p=0.90, cfg_filter_top_k=50"
SCRIPTS = {
    "simple": f"""{BEGIN}
made = model.generate(script, use_torch_compile=False, cfg_scale=3.0, {SETTINGS})
model.save_audio("made.mp3", made)
""",
    "simple_cpu": """
import torch
from dia.model import Dia
model = Dia.from_pretrained("nari-labs/Dia-1.6B-0626", compute_dtype="float32", device=torch.device("cpu"))
made = model.generate("[S1] It was late. [S2] It was.", use_torch_compile=False, verbose=True)
model.save_audio("made.mp3", made)
""",
    "simple_batch": f"""{BEGIN}
for place, made in enumerate(
    model.generate([script] * 10, use_torch_compile=True, verbose=True, max_tokens=200)
):
    model.save_audio(f"made_{{place}}.mp3", made)
""",
    "voice_clone": f"""{BEGIN}
prompt = "simple.mp3"
text = script + answer
made = model.generate(text, audio_prompt=prompt, use_torch_compile=False, cfg_scale=4.0, {SETTINGS})
model.save_audio("made.mp3", made)
""",
    "voice_clone_batch": f"""{BEGIN}
prompts = [f"simple_{{place}}.mp3" for place in range(10)]
texts = [script + answer] * 10
for place, made in enumerate(
    model.generate(texts, audio_prompt=prompts, use_torch_compile=True, verbose=True, max_tokens=300)
):
    model.save_audio(f"made_{{place}}.mp3", made)
""",
    "benchmark": """
import torch
from dia.model import Dia
torch._inductor.config.coordinate_descent_tuning = True
torch._inductor.config.triton.unique_kernel_names = True
torch._inductor.config.fx_graph_cache = True
torch._logging.set_logs(graph_breaks=True, recompiles=True)
model = Dia.from_pretrained("nari-labs/Dia-1.6B-0626", compute_dtype="float16")
for text in ("[S1] One short line.", "[S1] A line that is longer than the other one. [S2] By far."):
    made = model.generate(text, audio_prompt="./simple.mp3", use_torch_compile=True, verbose=True)
    made = model.generate(text, use_torch_compile=True, verbose=True)
model.save_audio("made.mp3", made)
""",
}


def never_ending() -> DiaNetwork:
    """A tiny network of nari's channels and codes that does not choose EOS."""
    torch.manual_seed(0)
    config: DiaConfig = replace(
        TINY,
        decoder=replace(TINY.decoder, codebook_size=1_024, max_positions=STEPS),
        delays=[0, 8, 9, 10, 11, 12, 13, 14, 15],
    )
    network = DiaNetwork(config).eval()
    network.logits_dense.weight.data *= 20
    network.logits_dense.weight.data.view(9, 1_028, -1)[0, 1_024] = 0
    return network


def fill_hub_cache(hub: Path, network: DiaNetwork) -> None:
    """Lay a checkpoint out as the Hub's client does: blobs, a ref, and a snapshot of links."""
    repository, commit = hub / f"models--{HUB_ID.replace('/', '--')}", "0" * 40
    for folder in ("blobs", "refs", f"snapshots/{commit}"):
        (repository / folder).mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    for number, file in enumerate(sorted(nari_folder(network, hub / "made", nested=True).iterdir())):
        file.rename(repository / "blobs" / f"{number:040d}")
        (repository / "snapshots" / commit / file.name).symlink_to(f"../../blobs/{number:040d}")
    (hub / "made").rmdir()


def fill_dac_cache(folder: Path) -> None:
    """Put a tiny DAC of 44.1 kHz, 512 samples a frame and 9 codebooks of 1,024 where the dac package looks
    for its own.
    """
    torch.manual_seed(0)
    folder.mkdir(parents=True)
    sizes = {"n_codebooks": 9, "codebook_size": 1_024, "codebook_dim": 4, "sample_rate": 44_100}
    model = dac.DAC(
        encoder_dim=2, encoder_rates=[2, 4, 8, 8], decoder_dim=32, decoder_rates=[8, 8, 4, 2], **sizes
    )
    model.save(str(folder / "weights_44khz_8kbps_0.0.1.pth"), package=False)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home folder with both caches filled, and prompts in its folder `work`."""
    home = tmp_path_factory.mktemp("home")
    fill_hub_cache(home / "hub", never_ending())
    fill_dac_cache(home / ".cache" / "descript" / "dac")
    (home / "work").mkdir()
    waveform = 0.1 * np.random.default_rng(0).standard_normal(66_150)
    for name in ("simple", *(f"simple_{place}" for place in range(10))):
        soundfile.write(home / "work" / f"{name}.mp3", waveform, 44_100)
    return home


def run_offline(hub: str) -> None:
    """Run ``script.py`` of the working folder as a process that the Hub's variables were set for would."""
    huggingface_hub.constants.HF_HUB_CACHE, huggingface_hub.constants.HF_HUB_OFFLINE = hub, True
    runpy.run_path("script.py", run_name="__main__")


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_calls_of_the_examples(home, tmp_path, name):
    for prompt in (home / "work").iterdir():
        (tmp_path / prompt.name).symlink_to(prompt)
    (tmp_path / "script.py").write_text(SCRIPTS[name])
    done = start_process(
        run_offline,
        str(home / "hub"),
        cwd=tmp_path,
        environment={"HOME": str(home), "CUDA_VISIBLE_DEVICES": ""},
    ).wait()
    assert done.returncode == 0, done.stderr[-2_000:]
    assert "generate: " in done.stdout
    made = sorted(tmp_path.glob("made*.mp3"))
    assert len(made) == (10 if "batch" in name else 1)
    for path in made:
        waveform, rate = soundfile.read(path)
        assert rate == 44_100 and np.isfinite(waveform).all() and len(waveform) / rate > 1


@pytest.fixture
def opened(home, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(home))
    return nari_folder(never_ending(), tmp_path / "model", nested=True)


def test_a_local_checkpoint_opens_with_its_config(opened, home, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    config = (opened / "config.json").rename(tmp_path / "elsewhere" / "config.json")
    dia = Dia.from_local(str(config), str(opened / "model.safetensors"), ComputeDtype.FLOAT32, "cpu")
    made = dia.generate("[S1] Yes.", 100, seed=1)
    assert made.dtype == np.float32 and len(made) % 512 == 0
    codes_TC = dia.load_audio(str(home / "work" / "simple.mp3"))
    again = [
        dia.generate("[S1] Yes.", 300, audio_prompt=prompt, seed=1)
        for prompt in (codes_TC, str(home / "work" / "simple.mp3"))
    ]
    assert codes_TC.shape == (130, 9) and np.array_equal(*again)


def test_without_dac_codes_come_and_go(opened):
    """What a user of several machines does: codes on one, sound on another."""
    bare, whole = (Dia.from_pretrained(str(opened), load_dac=load, device="cpu") for load in (False, True))
    codes = bare.generate(["[S1] Yes.", "[S1] No."], 60, seed=[1, 2])
    waveforms = whole.generate(["[S1] Yes.", "[S1] No."], 60, seed=[1, 2])
    for made, waveform in zip(codes, waveforms, strict=True):
        assert made.shape[1] == 9 and np.issubdtype(made.dtype, np.integer)
        assert np.array_equal(whole.codec.decode(torch.from_numpy(made)[None])[0].numpy(), waveform)
    prompted = bare.generate("[S1] Yes.", 120, audio_prompt=torch.from_numpy(codes[0]), seed=1)
    assert len(prompted) > 0
    for refused in (
        lambda: bare.generate("[S1] Yes.", 90, audio_prompt="a.wav"),
        lambda: bare.save_audio("a.wav", waveforms[0]),
    ):
        with pytest.raises(ValueError, match="no codec was opened"):
            refused()


def test_old_names_are_taken_and_said(opened, caplog):
    dia = Dia.from_pretrained(str(opened), load_dac=False, device="cpu")
    codes_TC = torch.zeros(50, 9, dtype=torch.long)
    old = dia.generate("[S1] Yes.", 120, audio_prompt_path=codes_TC, use_cfg_filter=True, seed=1)
    assert np.array_equal(old, dia.generate("[S1] Yes.", 120, audio_prompt=codes_TC, seed=1))
    assert "audio_prompt_path is an old name" in caplog.text and "use_cfg_filter has no effect" in caplog.text
