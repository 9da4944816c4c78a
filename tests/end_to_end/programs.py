"""Programs of other repositories that use nari-labs/dia, run unchanged with this package in its place.

``DIA_PROGRAMS`` names a folder with checkouts, ``OWNER/NAME`` (scripts/fetch_programs.sh makes it). Modules
that a program imports and that are not installed here (a web interface, a reader of `.env` files) are stood
in for; the files of the program are neither changed nor copied.
"""

import importlib
import importlib.util
import os
import runpy
import sys
import types
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import soundfile

VARIABLE = "DIA_PROGRAMS"
RATE = 44_100
SCRIPT = "[S1] It was late, and the rain had stopped. [S2] Then we went out. (sighs)"
TRANSCRIPT = "[S1] What the recording says, word for word."


def checkout(repository: str) -> Path | None:
    """Return the folder of a repository's checkout; None when there is none."""
    folder = os.environ.get(VARIABLE, "").strip()
    path = Path(folder).absolute() / repository
    return path if folder and path.is_dir() else None


def stand_in(name: str, **content: Any) -> None:
    """Put a module with this content where ``import name`` finds it, unless the real one is installed."""
    if importlib.util.find_spec(name) is None:
        sys.modules[name] = types.ModuleType(name)
        for key, value in content.items():
            setattr(sys.modules[name], key, value)


def enter(hub: str, files: Path, arguments: list[str]) -> None:
    """Prepare the process: the Hub's cache, the command line, and the program's folder after all others."""
    import huggingface_hub
    import torchaudio

    huggingface_hub.constants.HF_HUB_CACHE, huggingface_hub.constants.HF_HUB_OFFLINE = hub, True
    huggingface_hub.constants.HF_HUB_DISABLE_PROGRESS_BARS = True
    sys.argv = arguments
    sys.path.append(str(files))
    torchaudio.load = _load  # torchaudio's own needs torchcodec and FFmpeg


def _load(path: str, **_: Any) -> tuple[Any, int]:
    import torch

    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return torch.from_numpy(samples.T.copy()), rate


def run_file(hub: str, file: str, *arguments: str) -> None:
    """Run a script as a process of its own would."""
    enter(hub, Path(file).parent, [file, *arguments])
    runpy.run_path(file, run_name="__main__")


def run_app(hub: str, file: str) -> None:
    """Call the function behind the button of nari's `app.py` as Gradio does, twice with one seed."""
    gradio = MagicMock()
    gradio.Error = type("Error", (Exception,), {})
    sys.modules["gradio"] = gradio
    enter(hub, Path(file).parent, [file, "--device", "cpu"])
    app = runpy.run_path(file, run_name="app")
    recording = (16_000, (3_000 * np.random.default_rng(0).standard_normal((24_000, 2))).astype(np.int16))
    for prompt, transcript in ((None, ""), (recording, TRANSCRIPT)):
        made = [
            app["run_inference"](SCRIPT, transcript, prompt, 3_072, 3.0, 1.8, 0.95, 45, 1.0, 42)
            for _ in range(2)
        ]
        (rate, samples), seed, said = made[0]
        assert rate == RATE and samples.dtype == np.int16 and len(samples) > 0 and seed == 42
        assert np.array_equal(samples, made[1][0][1]) and "Using user-selected seed: 42" in said
    slider = next(
        call for call in gradio.Slider.call_args_list if call.kwargs["label"].startswith("Max New Tokens")
    )
    assert slider.kwargs["value"] == 3_072, "model.config.decoder_config.max_position_embeddings"


def run_server_engine(hub: str, folder: str) -> None:
    """Load, generate, clone, chunk and unload with `engine.py` of Dia-TTS-Server."""
    stand_in("dotenv", load_dotenv=lambda *_, **__: False, find_dotenv=lambda *_, **__: "")
    enter(hub, Path(folder), ["server.py"])
    Path("model_cache").symlink_to(hub)
    Path("reference_audio").mkdir()
    noise = 0.1 * np.random.default_rng(0).standard_normal(3 * 24_000)
    soundfile.write("reference_audio/Anna.wav", noise, 24_000)
    Path("reference_audio/Anna.txt").write_text(TRANSCRIPT)
    engine = importlib.import_module("engine")
    assert engine.DIA1_AVAILABLE and engine.load_model(), engine.get_download_status()
    assert engine.get_model_info()["selector"] == "dia-1.6b"
    calls: list[dict[str, Any]] = [
        {"voice_mode": "single_s1", "seed": 42},
        {"voice_mode": "clone", "clone_reference_filename": "anna", "seed": 42},
        {"voice_mode": "dialogue", "seed": 7, "split_text": True, "chunk_size": 40},
        {"voice_mode": "dialogue", "seed": -1, "speed_factor": 1.0},
    ]
    for call in calls:
        made = [engine.generate_speech(SCRIPT, enable_silence_trimming=False, **call) for _ in range(2)]
        samples, rate = made[0]
        assert rate == RATE and samples.dtype == np.float32 and len(samples) > 0, call
        assert np.isfinite(samples).all()
        assert np.array_equal(samples, made[1][0]) is (call["seed"] >= 0), call
    assert engine.unload_model() and not engine.MODEL_LOADED


def run_predictor(hub: str, folder: str) -> None:
    """Set up and predict with `predict.py` of zsxkib/cog-dia."""

    def field(default: Any = None, **_: Any) -> Any:
        return default

    stand_in("cog", BasePredictor=object, Input=field, Path=Path)
    enter(hub, Path(folder), ["predict.py"])
    Path("model_cache").symlink_to(hub)
    soundfile.write("prompt.wav", 0.1 * np.random.default_rng(0).standard_normal((66_150, 2)), RATE)
    predictor = importlib.import_module("predict").Predictor()
    predictor.setup()
    values = {
        "max_new_tokens": 3_072,
        "max_audio_prompt_seconds": 1,
        "cfg_scale": 3.0,
        "temperature": 1.8,
        "top_p": 0.95,
        "cfg_filter_top_k": 45,
        "speed_factor": 0.9,
        "seed": 42,
    }
    for prompt, transcript in ((None, None), (Path("prompt.wav"), TRANSCRIPT)):
        made = [
            soundfile.read(
                predictor.predict(text=SCRIPT, audio_prompt=prompt, audio_prompt_text=transcript, **values)
            )
            for _ in range(2)
        ]
        assert made[0][1] == RATE and len(made[0][0]) > 0 and np.array_equal(made[0][0], made[1][0])


def run_comfy_node(weights: str, folder: str) -> None:
    """Generate with the node of nobrainX2/comfyUI-customDia, whose own copy of Dia is replaced."""
    import torch

    import dia
    import dia.model

    stand_in(
        "folder_paths",
        get_output_directory=lambda: ".",
        get_save_image_path=lambda prefix, folder: (folder, "dia", 1, "", prefix),
    )
    enter("", Path(folder), ["comfy"])
    for name in ("", ".model"):  # `from .dia.model import Dia` inside the package of the node
        sys.modules[f"custom_dia.dia{name}"] = sys.modules[f"dia{name}"]
    spec = importlib.util.spec_from_file_location(
        "custom_dia", Path(folder) / "__init__.py", submodule_search_locations=[folder]
    )
    assert spec is not None and spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules["custom_dia"] = package
    spec.loader.exec_module(package)
    node = package.NODE_CLASS_MAPPINGS["Dia text to speech"]()
    recording = {"waveform": 0.1 * torch.randn(1, 2, 48_000), "sample_rate": 48_000}
    for prompt in (None, recording):
        made = [
            node.generate(
                weights, 42, True, "audio/dia", SCRIPT, 3.0, 1.3, 0.95, True, False, 35, prompt, TRANSCRIPT
            )[0]
            for _ in range(2)
        ]
        assert made[0]["sample_rate"] == RATE and made[0]["waveform"].shape[:2] == (1, 1)
        assert torch.equal(made[0]["waveform"], made[1]["waveform"])
    assert dia.Dia is package.nodes.Dia and Path("dia_00001_.mp3").is_file()
