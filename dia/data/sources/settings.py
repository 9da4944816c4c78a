"""Which source is read, by configuration: the demo corpus, a declared corpus, or raw recordings."""

from dataclasses import replace
from pathlib import Path

from dia.config.data import SourceConfig
from dia.config.recordings import RecordingsConfig
from dia.data.source import Source
from dia.data.sources.corpus import CorpusSource
from dia.data.sources.declaration import read_declaration
from dia.data.sources.demo import DemoSource
from dia.errors import UserError
from dia.home import in_home


def open_source(config: SourceConfig) -> Source:
    """Return the source that the config names. Raises :class:`UserError` when it is not there or may not be
    used so.
    """
    if config.corpus == "demo":
        return DemoSource(config.demo)
    path = str(Path(config.path).resolve()) if config.path else ""  # a worker may be in another folder
    if config.corpus == "recordings":
        from dia.data.recordings.source import RecordingsSource  # its models are an extra

        return RecordingsSource(path, _calibrated(config.recordings), config.dialogue, config.licence)
    declared = read_declaration(config.corpus)
    problems = []
    if config.use not in declared.uses:
        problems.append(
            f"it may be used for {', '.join(declared.uses)} only; set data.use={declared.uses[0]} or take another"
        )
    if config.licence == "commercial" and not declared.commercial_ok and declared.roles.commercial_ok is None:
        problems.append(
            f"its licence {declared.licence} does not allow commercial use; take another, or data.licence=any"
        )
    if problems:
        raise UserError(
            f"{declared.title} is refused:\n" + "\n".join(f"  - {problem}" for problem in problems)
        )
    return CorpusSource(
        declared, path, config.unknown, config.licence, config.streaming, config.limit, config.dialogue
    )  # fmt: skip


def _calibrated(config: RecordingsConfig) -> RecordingsConfig:
    """The config with thresholds chosen on its calibration set, if it has one, and an absolute folder of
    measures.
    """
    config = replace(config, measures=str(in_home(config.measures).resolve()))
    if not config.calibration:
        return config
    from dia.data.recordings.calibration import calibrated_limits

    return replace(
        config, thresholds=replace(config.thresholds, events=calibrated_limits(config.calibration))
    )
