"""Open the source that the configuration names: a synthesized or declared corpus, or raw recordings."""

from dataclasses import replace
from pathlib import Path

from dia.config.choices import CorpusUse
from dia.config.data import PREPARED, RECORDINGS, SourceConfig
from dia.config.recordings import RecordingsConfig
from dia.data.source import Source
from dia.data.sources.corpus import CorpusSource
from dia.data.sources.declaration import read_declaration
from dia.data.sources.demo import DemoSource
from dia.data.sources.open_english import OpenEnglishSource
from dia.data.sources.prepared_set import PreparedSource
from dia.data.sources.speed_perturbation import SpeedPerturbation
from dia.errors import UserError
from dia.home import in_home


def open_source(config: SourceConfig, device: str = "cpu") -> Source:
    """Return the configured source; ``device`` is the one of synthesized voices that can use a GPU.

    Raises :class:`UserError` when it does not exist, or when its licence or declared uses do not permit it.
    """
    source = _open_source(config, device)
    return SpeedPerturbation(source, tuple(config.speed_factors)) if config.speed_factors else source


def _open_source(config: SourceConfig, device: str) -> Source:
    if config.corpus == "demo":
        return DemoSource(config.demo)
    if config.corpus == "open_english":
        return OpenEnglishSource(config.open_english, device)
    path = (
        str(Path(config.path).resolve()) if config.path else ""
    )  # workers may have another working directory
    if config.corpus == PREPARED:
        return PreparedSource(path)
    if config.corpus == RECORDINGS:
        from dia.data.recordings.source import RecordingsSource  # its models are an extra

        return RecordingsSource(
            path, _calibrated(config.recordings), config.dialogue, config.licence, config.outside
        )
    declared = read_declaration(config.corpus).with_labels(config.labels)
    problems = []
    if config.use not in declared.uses:
        problems.append(
            f"it may only be used for {', '.join(declared.uses)}; "
            f"set data.use={declared.uses[0]} or choose another corpus"
        )
    if config.licence == "commercial" and not declared.commercial_ok and declared.roles.commercial_ok is None:
        problems.append(
            f"its licence {declared.licence} does not permit commercial use; "
            "choose another corpus, or set data.licence=any"
        )
    if problems:
        raise UserError(
            f"{declared.title} is refused:\n" + "\n".join(f"  - {problem}" for problem in problems)
        )
    return CorpusSource(
        declared,
        path,
        config.unknown,
        config.licence,
        config.streaming,
        config.limit,
        config.dialogue,
        config.held_out if config.use == CorpusUse.train else 0.0,
        config.outside,
    )


def _calibrated(config: RecordingsConfig) -> RecordingsConfig:
    """The config with calibrated event thresholds (if configured) and an absolute cache folder."""
    config = replace(config, measures=str(in_home(config.measures).resolve()))
    if not config.calibration:
        return config
    from dia.data.recordings.calibration import calibrated_thresholds

    return replace(
        config, thresholds=replace(config.thresholds, events=calibrated_thresholds(config.calibration))
    )
