"""Preflight checks of a training run; each of the two rounds reports all of its problems at once.

The first runs before anything is loaded or written. The second runs with the codec and the data open, before
anything of the run is written.
"""

import json
import logging
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
from dia.config.train import DataRunConfig, RunConfig, TrainConfig
from dia.data.collation import decoder_steps
from dia.data.integrity import code_problems
from dia.data.prepared import open_prepared, read_card, split_fingerprints
from dia.errors import UserError
from dia.home import in_home
from dia.pipelines.check_config import config_problems
from dia.pipelines.prepare_data import find_prepared, folder_of_request, missing_splits, prepare
from dia.training.distributed import distributed_env, process_problems
from dia.training.resume import RunFingerprint, changed_data, relevant
from dia.training.run_folder import PreparedRun, acquire_run

POLL_SECONDS = 1.0  # between two checks whether rank 0 has prepared the data
logger = logging.getLogger(__name__)


def preflight(config: RunConfig) -> PreparedRun:
    """Check everything that is known before loading. Raises :class:`UserError` with every problem."""
    processes = distributed_env()
    fingerprint = RunFingerprint(relevant(as_plain(config)), processes.world_size)
    if config.trainer.accelerator != "cpu":
        fingerprint = replace(fingerprint, processor="")  # the CPU does not compute the weights
    state, run_problems = acquire_run(in_home(config.runs) / config.run_name, config.resume, fingerprint)
    problems = [*config_problems(config), *process_problems(config.trainer, processes)]
    if isinstance(config, TrainConfig):
        problems += _codec_problems(config)
        if not config.data.problems() + config.model.problems():
            problems += _prepared_data_problems(config)
    if processes.rank == 0:  # the other ranks may see files that rank 0 has begun to write
        problems += run_problems
    require_none(problems)
    if state.saved and state.exact:
        # the number of threads decides the order of sums
        torch.set_num_threads(state.saved.manifest.fingerprint.threads)
    if state.saved:
        logger.info("resuming at step %s from %s", f"{state.steps_done:,}", state.checkpoint)
    return PreparedRun(state, processes, replace(fingerprint, threads=torch.get_num_threads()))


def open_data(
    config: DataRunConfig, codec: Codec | None, prepared: PreparedRun
) -> tuple[DatasetDict, PreparedRun]:
    """Return the prepared data, after preparing them if necessary, and the run with their fingerprint.

    Raises :class:`UserError` with every mismatch of data and model, codec or checkpoint.
    """
    needed, folder = needed_splits(config), folder_of_request(config.data, codec)
    if not folder.exists():
        require_none(_missing_split_problems(missing_splits(config.data, needed), "the source"))
    if prepared.processes.rank == 0:
        folder = prepare(config.data, codec, config.engine)
    else:
        while not folder.exists():  # rank 0 prepares; if it fails, torchrun and srun end this process
            time.sleep(POLL_SECONDS)
    splits = open_prepared(folder)
    require_none(_missing_split_problems(sorted(needed - splits.keys()), str(folder)))
    mix = config.mix if isinstance(config, TrainConfig) else {}
    fingerprint = replace(prepared.fingerprint, data=_data_fingerprints(folder, mix))
    problems: list[str] = []
    if codec is not None and isinstance(config, TrainConfig):
        problems += _length_problems(splits["train"], str(folder), config)
        for used in (folder, *map(Path, config.mix)):
            problems += code_problems(used, config.model.channels, config.model.decoder.codebook_size)
        for mixed in config.mix:
            problems += _codec_of_data_problems(Path(mixed), codec)
    if prepared.state.saved:
        changes = changed_data(prepared.state.saved.manifest.fingerprint, fingerprint)
        problems += [f"{change}; restore them, or choose another run_name" for change in changes]
    require_none(problems)
    return splits, replace(prepared, fingerprint=fingerprint)


def needed_splits(config: DataRunConfig) -> set[str]:
    """Return the splits that a run reads."""
    return {"train", "validation"} if isinstance(config, TrainConfig) else {"train"}


def _missing_split_problems(missing: list[str], where: str) -> list[str]:
    if not missing:
        return []
    return [
        f"{where} has no clips of the split {' and '.join(missing)}; add recordings, give some rows of the "
        "table that split, or raise data.held_out (data.recordings.splits for raw recordings)"
    ]


def require_none(problems: list[str]) -> None:
    """Raise :class:`UserError` with all problems, if there are any."""
    if problems:
        raise UserError("the run cannot start:\n" + "\n".join(f"  - {problem}" for problem in problems))


def as_plain(config: RunConfig) -> dict[str, Any]:
    """Return the config as plain JSON values."""
    plain: dict[str, Any] = json.loads(json.dumps(OmegaConf.to_container(OmegaConf.structured(config))))
    return plain


def as_yaml(config: RunConfig) -> str:
    """Return the composed config as YAML."""
    return OmegaConf.to_yaml(OmegaConf.structured(config))


def _codec_problems(config: TrainConfig) -> list[str]:
    """Compare the model's channels and codebook with the codec's."""
    try:
        shape = codec_shape(config.codec.name)
    except UserError as error:
        return [str(error)]
    of_model = config.model.channels, config.model.decoder.codebook_size
    if shape is None or (shape.channels, shape.codebook_size) == of_model:
        return []
    return [
        f"the model has {of_model[0]} channels (model.delays) of {of_model[1]} codes "
        f"(model.decoder.codebook_size), but the codec {config.codec.name} has {shape.channels} of "
        f"{shape.codebook_size}; choose a model and a codec that match"
    ]


def _prepared_data_problems(config: TrainConfig) -> list[str]:
    """Check data that are prepared already: those of the config, if any, and all mixed-in data sets."""
    problems: list[str] = []
    folders = [Path(folder) for folder in config.mix]
    try:
        folders += find_prepared(config.data, config.codec.name)
    except UserError as error:  # the source is missing, or its licence forbids this use
        problems.append(str(error))
    for folder in folders:
        try:
            splits = open_prepared(folder)
        except UserError as error:
            problems.append(str(error))
            continue
        needed = {"train"} if str(folder) in config.mix else needed_splits(config)
        if missing := sorted(needed - splits.keys()):
            problems += _missing_split_problems(missing, str(folder))
            continue
        rows = splits["train"]
        problems += _length_problems(rows, str(folder), config)
        if (name := str(rows[0]["codec"])) != config.codec.name:
            problems.append(
                f"{folder} is tokenized with the codec {name}, not with {config.codec.name}; prepare it with "
                "the latter"
            )
    return problems


def _codec_of_data_problems(folder: Path, codec: Codec) -> Iterable[str]:
    """Compare the codec that tokenized a data set with the codec of the run."""
    fingerprint = read_card(folder)["request"]["codec"]
    if fingerprint != codec.fingerprint:
        yield (
            f"{folder} is tokenized with another codec (SHA-256 {fingerprint[:12]}) than {codec.name} "
            f"(SHA-256 {codec.fingerprint[:12]}); prepare it with the latter"
        )


def _length_problems(rows: Dataset, where: str, config: TrainConfig) -> list[str]:
    """Check that the longest clip fits into a batch and into the model."""
    frames = rows.data.column("frames").to_numpy()
    longest, row = int(frames.max()), int(frames.argmax())
    name, steps = rows[row]["id"], decoder_steps(longest, config.model)
    problems = []
    if steps > config.batch.max_frames:
        problems.append(
            f"batch.max_frames={config.batch.max_frames} is below the longest clip of {where}: {name} takes "
            f"{steps} steps; raise it, or prepare with data.too_long=skip, which leaves such clips out"
        )
    if longest > config.model.max_frames:
        problems.append(
            f"{name} of {where} has {longest} frames, but the model takes at most {config.model.max_frames} "
            f"(model.decoder.max_positions={config.model.decoder.max_positions}); prepare with "
            "data.too_long=skip, which leaves such clips out"
        )
    return problems


def _data_fingerprints(folder: Path, mix: dict[str, float]) -> dict[str, str]:
    """Return the fingerprint of every split; those of mixed-in data sets begin with `mix` and a number."""
    by_split = split_fingerprints(folder)
    for number, mixed in enumerate(mix):
        by_split |= {
            f"mix {number} {split}": digest for split, digest in split_fingerprints(Path(mixed)).items()
        }
    return by_split
