"""What is checked before anything is made; each time all problems are told at once.

The first time nothing has been loaded or written; the second time the codec and the data are open, and
nothing of the run is there yet.
"""

import json
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, DatasetDict
from omegaconf import OmegaConf

from dia.codecs.protocol import Codec
from dia.codecs.registry import codec_shape
from dia.config.train import TrainConfig
from dia.data.batching import decoder_steps
from dia.data.prepare import find_prepared, folder_of_request, prepare
from dia.data.prepared import open_prepared, read_card, split_fingerprints
from dia.errors import UserError
from dia.home import in_home
from dia.pipelines.check_config import config_problems
from dia.training.distributed_env import distributed_env, process_problems
from dia.training.resume import RunFingerprint, data_changed, relevant
from dia.training.run_folder import Ready, acquire_run

WAIT = 1.0  # seconds between looks at whether the first process has prepared the data


def preflight(config: TrainConfig) -> Ready:
    """Check what can be known before anything is loaded. Raises :class:`UserError` with every problem."""
    found = distributed_env()
    facts = RunFingerprint(relevant(as_plain(config)), found.world)
    if config.trainer.accelerator != "cpu":
        facts = replace(facts, processor="")  # it computes nothing there
    run, claim_problems = acquire_run(in_home(config.runs) / config.run_name, config.resume, facts)
    problems = [*config_problems(config), *process_problems(config.trainer, found)]
    if config.task == "dia":
        problems += _codec_problems(config)
        problems += (
            _known_data_problems(config) if not config.data.problems() + config.model.problems() else []
        )
    if found.rank == 0:  # the others would see what the first one has begun to write
        problems += claim_problems
    require_none(problems)
    if run.kept and run.exact:
        torch.set_num_threads(
            run.kept.manifest.facts.threads
        )  # they decide in which order products are summed up
    return Ready(run, found, replace(facts, threads=torch.get_num_threads()))


def opened_data(config: TrainConfig, codec: Codec | None, ready: Ready) -> tuple[DatasetDict, Ready]:
    """Return the prepared data, made now unless it is there, and the run with the facts of it.

    Raises :class:`UserError` with everything about it that does not go with the model, the codec or the
    checkpoint.
    """
    if ready.processes.rank == 0:
        folder = prepare(config.data, codec, config.engine)
    else:
        folder = folder_of_request(config.data, codec)
        while not folder.exists():  # the first process prepares; torchrun and srun end this one if that fails
            time.sleep(WAIT)
    splits = open_prepared(folder)
    facts = replace(ready.facts, data=_data_of(folder, config.mix))
    problems = [] if codec is None or config.task == "codec" else [
        *_fit_problems(splits["train"], str(folder), config),
        *(problem for mixed in config.mix for problem in _codec_of_data_problems(Path(mixed), codec)),
    ]  # fmt: skip
    if ready.run.kept and (changed := data_changed(ready.run.kept.manifest.facts, facts)):
        problems += [f"{problem}; give those again, or choose another run_name" for problem in changed]
    require_none(problems)
    return splits, replace(ready, facts=facts)


def require_none(problems: list[str]) -> None:
    """Raise :class:`UserError` with all problems, if there are any."""
    if problems:
        raise UserError("the run cannot begin:\n" + "\n".join(f"  - {problem}" for problem in problems))


def as_plain(config: TrainConfig) -> dict[str, Any]:
    """Return the config as plain values, as JSON has them."""
    plain: dict[str, Any] = json.loads(json.dumps(OmegaConf.to_container(OmegaConf.structured(config))))
    return plain


def as_yaml(config: TrainConfig) -> str:
    """Return the composed config as YAML."""
    return OmegaConf.to_yaml(OmegaConf.structured(config))


def _codec_problems(config: TrainConfig) -> list[str]:
    """Whether the model has the codec's channels and codebook."""
    try:
        shape = codec_shape(config.codec.name)
    except UserError as error:
        return [str(error)]
    wanted = config.model.channels, config.model.decoder.codebook_size
    if shape is None or (shape.channels, shape.codebook_size) == wanted:
        return []
    return [
        f"the model has {wanted[0]} channels (model.delays) of {wanted[1]} codes (model.decoder.codebook_size), the codec "
        f"{config.codec.name} {shape.channels} of {shape.codebook_size}; choose a model and a codec that go together"
    ]


def _known_data_problems(config: TrainConfig) -> list[str]:
    """What is wrong with data that lie prepared already: those of the config if there are some, and all that
    is mixed in.
    """
    problems: list[str] = []
    folders = [Path(folder) for folder in config.mix]
    try:
        folders += find_prepared(config.data, config.codec.name)
    except UserError as error:  # its source is not there, or may not be used so
        problems.append(str(error))
    for folder in folders:
        try:
            rows = open_prepared(folder)["train"]
        except UserError as error:
            problems.append(str(error))
            continue
        problems += _fit_problems(rows, str(folder), config)
        if (name := str(rows[0]["codec"])) != config.codec.name:
            problems.append(
                f"{folder} is tokenized by the codec {name}, not by {config.codec.name}; prepare it with that one"
            )
    return problems


def _codec_of_data_problems(folder: Path, codec: Codec) -> Iterable[str]:
    """Whether a data set's codes are those of this very codec."""
    made = read_card(folder)["request"]["codec"]
    if made != codec.fingerprint:
        yield (
            f"{folder} is tokenized by another codec (sha256 {made[:12]}) than {codec.name} (sha256 {codec.fingerprint[:12]}); "
            "prepare it with that one"
        )


def _fit_problems(rows: Dataset, where: str, config: TrainConfig) -> list[str]:
    """Whether the longest clip fits the model and a batch."""
    frames = rows.data.column("frames").to_numpy()
    longest, place = int(frames.max()), int(frames.argmax())
    name, steps = rows[place]["id"], decoder_steps(longest, config.model)
    found = []
    if steps > config.batch.max_frames:
        found.append(
            f"batch.max_frames={config.batch.max_frames} is below the longest clip of {where}: {name} takes {steps} steps; raise it, "
            "or prepare shorter clips"
        )
    if longest > config.model.max_frames:
        found.append(
            f"{name} of {where} has {longest} frames, the model takes {config.model.max_frames} "
            f"(model.decoder.max_positions={config.model.decoder.max_positions}); prepare shorter clips"
        )
    return found


def _data_of(folder: Path, mix: dict[str, float]) -> dict[str, str]:
    found = split_fingerprints(folder)
    for number, mixed in enumerate(mix):
        found |= {
            f"mix {number} {split}": digest for split, digest in split_fingerprints(Path(mixed)).items()
        }
    return found
