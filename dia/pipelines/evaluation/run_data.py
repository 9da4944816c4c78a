"""Find the prepared data of an evaluation; nothing is prepared, and no program is started.

A run folder may come from someone else. Its config names the data, and with them programs and places; only
the name of the data set and the folder of prepared data are read from it, and a data set counts when its
digests are those that the run recorded.
"""

import logging
from dataclasses import replace
from glob import escape
from pathlib import Path

from dia.codecs.protocol import Codec
from dia.config.data import DataConfig
from dia.config.eval import EvalConfig
from dia.config.stored import read_run_group
from dia.data.prepare import data_set_name, folder_of_request
from dia.data.prepared import is_prepared, split_fingerprints
from dia.errors import UserError
from dia.files import is_plain_name
from dia.home import existing, in_home
from dia.training.run_folder import CONFIG
from dia.training.run_inputs import read_inputs

logger = logging.getLogger(__name__)


def find_data(config: EvalConfig, codec: Codec, *, needed: bool) -> Path | None:
    """Return the folder of the prepared data that keys of data name, else of the run that ``ckpt`` names.

    Returns None, with a warning, when there are none and they are not ``needed``.

    Raises:
        UserError: When data are needed and missing; the message names the command that prepares them.
    """
    run = existing(config.ckpt)
    named = replace(config.data, root=DataConfig().root) != DataConfig()
    if (run / CONFIG).is_file() and not named:
        folder, missing = _data_of_run(config, run)
    elif needed or named:
        folder, missing = _data_of_command_line(config.data, codec)
    else:
        return None
    if folder is None and needed:
        raise UserError(missing)
    if folder is None:
        logger.warning("%s; the evaluation continues without them", missing)
    return folder


def _data_of_run(config: EvalConfig, run: Path) -> tuple[Path | None, str]:
    """Return the data of a run, and why there are none."""
    data = read_run_group(run / CONFIG, "data", DataConfig)
    digests, name = read_inputs(run).data, data_set_name(data)
    if not is_plain_name(name):
        raise UserError(
            f"{run / CONFIG} has data.name={name!r}, which is not the name of a folder; correct it"
        )
    roots = dict.fromkeys(in_home(root) for root in (config.data.root, data.root))
    for root in roots:
        for folder in sorted(root.glob(f"{escape(name)}-*")):
            if digests and is_prepared(folder) and split_fingerprints(folder) == digests:
                return folder, ""
    places = " and ".join(map(str, roots))
    return None, (
        f"the data of {run} are not prepared here: no data set {name}-* in {places} is the one "
        "that the run was "
        "trained with; prepare them with `python -m dia.prepare` and the keys data.* of "
        f"{run / CONFIG}, if you trust "
        "it, or give data.root=FOLDER that holds them"
    )


def _data_of_command_line(data: DataConfig, codec: Codec) -> tuple[Path | None, str]:
    folder = folder_of_request(data, codec)
    if is_prepared(folder):
        return folder, ""
    return None, (
        f"the suite needs prepared data, and {folder} does not exist; prepare them first: "
        "python -m dia.prepare "
        f"data.corpus={data.corpus} codec.name={codec.name}, with the other keys data.* as "
        "here; or give the data.* "
        "keys of data that are prepared"
    )
