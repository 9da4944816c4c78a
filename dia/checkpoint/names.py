"""Names of the files of a checkpoint folder, and the choice of the weights among several files."""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from dia.config.hub import WEIGHTS_ENDINGS
from dia.errors import UserError

CONFIG = "config.json"
GENERATION = "generation_config.json"
VOCABULARY = "vocabulary.txt"  # of a model that was trained on few words; others have none
CODEC_BESIDE = "codec"  # subfolder of a codec that is published with its model, and the codec's name then
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
# weights of the first generation have a name that transformers does not open: it would run them wrongly
FIRST_GENERATION_WEIGHTS = "first_generation.safetensors"
OTHER_WEIGHTS = re.compile(r"adapter|optimizer|scheduler|scaler|rng_state|training_args")


def choose_weights(names: Iterable[str], owner: str) -> str | None:
    """Return the file that holds the network, or the index of several files; None when there is none.

    An index or `model.safetensors` is preferred, then the only other weights file. Of files that differ in
    their ending only, the safetensors one is taken; adapters and states of optimizers do not count.

    Args:
        names: Names of the files in a folder.
        owner: The folder or repository, for messages.

    Raises:
        UserError: When several files remain.
    """
    present = set(names)
    for usual in (INDEX, WEIGHTS, FIRST_GENERATION_WEIGHTS):
        if usual in present:
            return usual
    by_stem: dict[str, list[str]] = {}
    for name in sorted(present):
        path = PurePosixPath(name)
        if path.suffix in WEIGHTS_ENDINGS and len(path.parts) == 1 and not OTHER_WEIGHTS.match(name):
            by_stem.setdefault(path.stem, []).append(name)
    candidates = [min(files, key=_preference) for files in by_stem.values()]
    if len(candidates) > 1:
        raise UserError(
            f"{owner} holds several checkpoints: {', '.join(candidates)}; name one, {owner}/{candidates[0]}, "
            f"or file={candidates[0]} in Python"
        )
    return candidates[0] if candidates else None


def _preference(name: str) -> int:
    return WEIGHTS_ENDINGS.index(PurePosixPath(name).suffix)
