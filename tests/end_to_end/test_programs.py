"""Programs written for nari-labs/dia run with this package in its place, against a faked Hub cache.

The programs themselves run where ``DIA_PROGRAMS`` names their checkouts (scripts/fetch_programs.sh). The
other tests make, without them, every call that these programs make, and name its source.
"""

import os
import random
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file

import dia
from dia.checkpoint.nari_layout import to_nari_tensors
from dia.config import DiaConfig
from dia.errors import UserError
from dia.model import DEFAULT_SAMPLE_RATE, SAMPLE_RATE_RATIO, ComputeDtype, Dia
from dia.network import DiaNetwork
from tests.checkpoint.test_layouts import nari_folder
from tests.conftest import TINY
from tests.end_to_end import programs
from tests.end_to_end.programs import RATE, SCRIPT, TRANSCRIPT, VARIABLE, checkout
from tests.end_to_end.test_drop_in import HUB_ID, fill_dac_cache
from tests.processes import start_process

FIRST_ID, FIRST_FILE = "ttj/dia-1.6b-safetensors", "dia-v0_1_bf16.safetensors"  # Dia-TTS-Server's default
SETTINGS = {"cfg_scale": 3.0, "temperature": 1.8, "top_p": 0.95, "cfg_filter_top_k": 45}


def ending(*, first: bool) -> DiaNetwork:
    """A tiny network of nari's channels, codes and lengths, which soon ends by itself."""
    torch.manual_seed(0)
    config = replace(
        TINY,
        decoder=replace(TINY.decoder, codebook_size=1_024, max_positions=512 if first else 3_072),
        delays=[0, 8, 9, 10, 11, 12, 13, 14, 15],
        cross_rope=first,
    )
    network = DiaNetwork(config).eval()
    network.logits_dense.weight.data *= 20
    head_CVD = network.logits_dense.weight.data.view(9, 1_028, -1)
    head_CVD[0, 1_024] = 2 * head_CVD[0, 7]
    return network


def lay_in_cache(hub: Path, repository: str, source: Path) -> None:
    """Lay a folder out as the Hub's client does: blobs, a ref, and a snapshot of links."""
    folder, commit = hub / f"models--{repository.replace('/', '--')}", "0" * 40
    for part in ("blobs", "refs", f"snapshots/{commit}"):
        (folder / part).mkdir(parents=True)
    (folder / "refs" / "main").write_text(commit)
    for number, file in enumerate(sorted(source.iterdir())):
        file.rename(folder / "blobs" / f"{number:040d}")
        (folder / "snapshots" / commit / file.name).symlink_to(f"../../blobs/{number:040d}")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home folder with DAC's cache, the Hub's with both generations, and a first release in `release`."""
    home = tmp_path_factory.mktemp("home")
    fill_dac_cache(home / ".cache" / "descript" / "dac")
    lay_in_cache(home / "hub", HUB_ID, nari_folder(ending(first=False), home / "second", nested=False))
    first = nari_folder(ending(first=True), home / "first", nested=True)
    state = load_file(first / "model.safetensors")
    (home / "release").mkdir()
    torch.save(state, home / "release" / "dia-v0_1.pth")
    (home / "release" / "config.json").write_text((first / "config.json").read_text())
    save_file({name: tensor.bfloat16() for name, tensor in state.items()}, first / FIRST_FILE)
    (first / "model.safetensors").unlink()
    lay_in_cache(home / "hub", FIRST_ID, first)
    return home


@pytest.fixture
def offline(home, tmp_path, monkeypatch):
    """This process with the caches of `home`, in a folder of its own."""
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(home / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    return home


def run(home, tmp_path, task, *arguments):
    done = start_process(
        task,
        *map(str, arguments),
        cwd=tmp_path,
        environment={"HOME": str(home), "CUDA_VISIBLE_DEVICES": ""},
    ).wait()
    assert done.returncode == 0, f"{done.stdout[-2_000:]}\n{done.stderr[-3_000:]}"
    return done.stdout


def repository(name):
    folder = checkout(name)
    if folder is None:
        pytest.skip(f"{VARIABLE} names no folder with a checkout of {name}")
    return folder


def test_the_command_line_of_nari_runs_unchanged(home, tmp_path):
    cli, hub = repository("nari-labs/dia") / "cli.py", home / "hub"
    local = ["--local-paths", "--config", home / "release/config.json"]
    local += ["--checkpoint", home / "release/dia-v0_1.pth"]
    for name, more in (("a", []), ("b", []), ("c", local), ("d", local)):
        said = run(
            home,
            tmp_path,
            programs.run_file,
            hub,
            cli,
            SCRIPT,
            "--output",
            f"{name}.wav",
            "--seed",
            "42",
            *more,
        )
        assert f"Audio successfully saved to {name}.wav" in said
    made = {name: soundfile.read(tmp_path / f"{name}.wav")[0] for name in "abcd"}
    assert np.array_equal(made["a"], made["b"]) and np.array_equal(made["c"], made["d"])
    assert all(len(waveform) for waveform in made.values())
    soundfile.write(tmp_path / "prompt.wav", 0.1 * np.random.default_rng(0).standard_normal(66_150), RATE)
    run(
        home, tmp_path, programs.run_file, hub, cli, TRANSCRIPT + SCRIPT,
        "--output", "e.wav", "--audio-prompt", "prompt.wav", "--max-tokens", "400",
    )  # fmt: skip


def test_the_functions_of_the_app_of_nari_run_unchanged(home, tmp_path):
    run(home, tmp_path, programs.run_app, home / "hub", repository("nari-labs/dia") / "app.py")


@pytest.mark.parametrize(
    "name", ["simple", "simple-cpu", "simple-mac", "simple_batch", "voice_clone", "voice_clone_batch"]
)
def test_the_examples_of_nari_run_unchanged(home, tmp_path, name):
    file = repository("nari-labs/dia") / "example" / f"{name}.py"
    for prompt in ("simple", *(f"simple_{place}" for place in range(10))):
        noise = 0.1 * np.random.default_rng(0).standard_normal(66_150)
        soundfile.write(tmp_path / f"{prompt}.mp3", noise, RATE)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.mp3")}
    run(home, tmp_path, programs.run_file, home / "hub", file)
    made = [path for path in tmp_path.glob("*.mp3") if before.get(path.name) != path.stat().st_mtime_ns]
    assert len(made) == (10 if "batch" in name else 1)


def test_the_engine_of_dia_tts_server_runs_unchanged(home, tmp_path):
    run(home, tmp_path, programs.run_server_engine, home / "hub", repository("devnen/Dia-TTS-Server"))


def test_the_predictor_of_cog_dia_runs_unchanged(home, tmp_path):
    run(home, tmp_path, programs.run_predictor, home / "hub", repository("zsxkib/cog-dia"))


def test_the_comfyui_node_runs_unchanged(home, tmp_path):
    weights = home / "release" / "dia-v0_1.pth"
    run(home, tmp_path, programs.run_comfy_node, weights, repository("nobrainX2/comfyUI-customDia"))


NARI_CODES = """
import sys
import numpy as np, torch
sys.path.insert(0, sys.argv[1])
from dia.model import Dia
import dia
assert dia.__file__.startswith(sys.argv[1])
model = Dia.from_local(sys.argv[2], sys.argv[3], device=torch.device("cpu"), load_dac=False)
prompt = torch.from_numpy(np.load("prompt.npy"))
for name, prompts in (("plain", [None, None, prompt]), ("prompted", [prompt[:20], prompt[5:], prompt])):
    made = model.generate(TEXTS, max_tokens=STEPS, temperature=0.0, audio_prompt=prompts)
    np.savez(name, *made)
"""


def test_greedy_codes_equal_those_of_nari_to_the_last_frame(tmp_path):
    """The package of nari itself, in a process of its own: the same codes, also where the limit ends them.

    nari's prefill has one row less than the longest prompt of a batch and the longest delay need
    (`_prepare_audio_prompt`: `max_len` lacks the BOS frame), so that the model reads a prediction in place of
    the last delayed token. A third item with a longer prompt, which is not compared, gives the others all
    rows. Where only some items have a prompt, nari also takes an EOS that it predicts inside of one.
    """
    folder, texts, steps = repository("nari-labs/dia"), [SCRIPT, "[S1] Yes.", "[S1] No."], 70
    network = ending(first=False)
    made = nari_folder(network, tmp_path / "model", nested=False, file="dia.pth")
    prompt = np.random.default_rng(0).integers(0, 1_024, (25, 9))
    np.save(tmp_path / "prompt.npy", prompt)
    code = NARI_CODES.replace("TEXTS", repr(texts)).replace("STEPS", str(steps))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(
        [sys.executable, "-c", code, str(folder), made / "config.json", made / "dia.pth"],
        cwd=tmp_path,
        env=environment,
        check=True,
        timeout=300,
    )
    ours = Dia.from_pretrained(str(made), load_dac=False, device="cpu", cross_rope=False)
    for name, prompts in (
        ("plain", [None, None]),
        ("prompted", [torch.from_numpy(prompt[:20]), torch.from_numpy(prompt[5:])]),
    ):
        wanted = np.load(tmp_path / f"{name}.npz")
        codes = ours.generate(
            texts[:2],
            steps,
            cfg_scale=3.0,
            temperature=0.0,
            top_p=0.95,
            cfg_filter_top_k=45,
            audio_prompt=prompts,
        )
        for place, item in enumerate(codes):
            assert np.array_equal(item, wanted[f"arr_{place}"]), (name, place)


def seeded(seed: int) -> None:
    """As nari-labs/dia 876125e, cli.py:12, and all programs here that take a seed."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def twice(generate):
    """Return what a call generates after `torch.manual_seed(42)`, which must be the same again."""
    made = []
    for _ in range(2):
        seeded(42)
        made.append(generate())
    assert np.array_equal(*made) and len(made[0]) % SAMPLE_RATE_RATIO == 0 and len(made[0]) > 0
    return made[0]


def test_the_calls_of_nari_cli(offline):
    """nari-labs/dia 876125e, cli.py:104-129: devices are `torch.device`, `max_tokens` may be None."""
    device = torch.device("cpu")
    model = Dia.from_pretrained(HUB_ID, device=device)
    values = {"max_tokens": None, "cfg_scale": 3.0, "temperature": 1.3, "top_p": 0.95}
    waveform = twice(lambda: model.generate(text=SCRIPT, audio_prompt=None, **values))
    soundfile.write("made.wav", waveform, 44_100)
    soundfile.write("speech.wav", 0.1 * np.random.default_rng(0).standard_normal(66_150), RATE)
    local = Dia.from_local(
        str(offline / "release/config.json"), str(offline / "release/dia-v0_1.pth"), device=device
    )
    twice(lambda: local.generate(text=SCRIPT, audio_prompt="speech.wav", **values))


def test_the_calls_of_the_app_of_nari(offline):
    """nari-labs/dia 876125e, app.py:51, app.py:171-181, app.py:304."""
    model = Dia.from_pretrained(HUB_ID, compute_dtype="float32", device=torch.device("cpu"))
    assert model.config.decoder_config.max_position_embeddings == 3_072
    soundfile.write("prompt.wav", 0.1 * np.random.default_rng(0).standard_normal(66_150), 24_000)
    with torch.inference_mode():
        twice(
            lambda: model.generate(
                f"{TRANSCRIPT}\n{SCRIPT}",
                max_tokens=3_072,
                use_torch_compile=False,
                audio_prompt="prompt.wav",
                verbose=True,
                **SETTINGS,
            )
        )


def test_the_calls_of_dia_tts_server(offline):
    """devnen/Dia-TTS-Server 14c8db4, engine.py:352-381, 545-601, 1402-1416."""
    assert ComputeDtype.FLOAT32.value == "float32" and ComputeDtype("bfloat16").to_dtype() is torch.bfloat16
    folder = offline / "hub" / f"models--{FIRST_ID.replace('/', '--')}" / "snapshots" / ("0" * 40)
    config, device = DiaConfig.load(str(folder / "config.json")), torch.device("cpu")
    assert DiaConfig.load(str(folder / "nowhere.json")) is None
    model = Dia(config, compute_dtype="float32", device=device)
    model.model.load_state_dict(load_file(folder / FIRST_FILE, device="cpu"))
    model.model.to(device)
    model.model.eval()
    model._load_dac_model()
    assert model.config == config and model.config.cross_rope and not hasattr(model, "reset_state")
    opened = Dia.from_pretrained(FIRST_ID, device="cpu")  # the same checkpoint, opened as usual
    for name, tensor in opened.network.state_dict().items():
        assert torch.equal(tensor, model.network.state_dict()[name]), name
    values = {"cfg_scale": 3.0, "temperature": 1.3, "top_p": 0.95, "cfg_filter_top_k": 35}
    call = partial(model.generate, text=SCRIPT, audio_prompt=None, use_torch_compile=False, **values)
    made = [call(verbose=True, text_to_generate_size=len(SCRIPT), seed=42) for _ in range(2)]
    assert np.array_equal(*made) and np.array_equal(made[0], opened.generate(SCRIPT, seed=42, **values))
    torch.manual_seed(1)
    drawn = [call(text_to_generate_size=len(SCRIPT), seed=-1) for _ in range(2)]
    assert not np.array_equal(*drawn), "a negative seed is random"


def test_the_calls_of_the_comfyui_node(offline):
    """nobrainX2/comfyUI-customDia 6a7e4d6, nodes.py:112-158: positional values, and codes of `dac_model`."""
    weights = str(offline / "release" / "dia-v0_1.pth")
    model = Dia.from_local(config_path=Path(weights).with_name("config.json"), checkpoint_path=weights)
    audio = 0.1 * torch.randn(1, 1, 66_150)
    audio = model.dac_model.preprocess(audio.to(model.device), 44_100)
    _, codes, _, _, _ = model.dac_model.encode(audio)
    codes_TC = codes.squeeze(0).transpose(0, 1)
    old = {"audio_prompt_path": None, "use_cfg_filter": True, "verbose": True}
    text = TRANSCRIPT + SCRIPT
    twice(lambda: model.generate(text, None, 3.0, 1.3, 0.95, False, 35, audio_prompt=codes_TC, **old))
    assert torch.equal(model._encode(audio[0]), codes_TC)
    assert torch.equal(model._decode(codes_TC), model.codec.decode(codes_TC[None])[0])


def test_the_calls_of_other_programs(offline):
    """robbiemu/bomdia 2260a68, src/components/audio_generator/tts.py:84 and generate_prompt.py:18: a torch
    dtype, a device by name, `_get_default_device`. Engines that move, halve and replace `model`."""
    from dia.model import _get_default_device

    assert dia.Dia is Dia and _get_default_device().type in ("cpu", "cuda")
    assert DEFAULT_SAMPLE_RATE == 44_100
    model = Dia.from_pretrained(HUB_ID, compute_dtype=torch.float32, device="cpu")
    assert model.device == torch.device("cpu") and model.compute_dtype is torch.float32
    model.dac_model.to("cpu")
    model.model.to("cpu")
    state = to_nari_tensors(model.model.state_dict(), model.network.config)
    state = {name: torch.zeros_like(tensor) for name, tensor in state.items()}
    keys = model.model.load_state_dict(state, strict=False)
    assert not keys.missing_keys and not keys.unexpected_keys
    assert not any(bool(parameter.any()) for parameter in model.network.parameters())
    model.model = model.model.bfloat16()
    assert model.network.logits_dense.weight.dtype is torch.bfloat16


def test_errors_are_of_the_types_that_nari_raises(offline, tmp_path):
    """nari-labs/dia 876125e, dia/model.py:158-168, 209, 237, 570."""
    release = offline / "release"
    missing = [
        lambda: Dia.from_local("nowhere.json", str(release / "dia-v0_1.pth")),
        lambda: Dia.from_local(str(release / "config.json"), "weights/dia.pth"),
        lambda: Dia.from_pretrained(HUB_ID, device="cpu").load_audio("nowhere.wav"),
    ]
    for call in missing:
        with pytest.raises(FileNotFoundError) as caught:
            call()
        assert isinstance(caught.value, UserError) and isinstance(caught.value, RuntimeError)
    (tmp_path / "broken.pth").write_bytes(b"no weights")
    unavailable = [
        lambda: Dia.from_pretrained("someone/nowhere"),
        lambda: Dia.from_local(str(release / "config.json"), "broken.pth"),
        lambda: Dia.from_pretrained(HUB_ID, load_dac=False).load_audio("any.wav"),
    ]
    for call in unavailable:
        with pytest.raises(RuntimeError) as caught:
            call()
        assert isinstance(caught.value, UserError)
    with pytest.raises(ValueError, match="compute_dtype='float8'"):
        Dia.from_pretrained(HUB_ID, compute_dtype="float8")
    with pytest.raises(AttributeError):
        Dia.from_pretrained(HUB_ID, device="cpu").config.cross_rope = True
