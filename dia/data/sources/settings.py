"""Which source is read, by configuration: the demo corpus, a declared corpus, or raw recordings."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from dia.data.recordings.settings import RecordingsConfig
from dia.data.segmentation import DialogueLimits
from dia.data.source import Source
from dia.data.sources.corpus import CorpusSource
from dia.data.sources.declaration import USES, corpora, is_declaration_file, read_declaration
from dia.data.sources.demo import DemoConfig, DemoSource
from dia.data.sources.marks import UNKNOWN
from dia.errors import UserError
from dia.home import in_home

LICENCES = ("any", "commercial")


@dataclass
class SourceConfig:
    """What is read."""

    corpus: str = "demo"
    """`demo`, `recordings`, a name of data/corpora (`local` is your own folder with a table), or the path of a
    YAML declaration of your own."""
    path: str = ""
    """Folder of recordings, of `local`, or of a local copy of a corpus; empty asks the Hub."""
    licence: str = "any"
    """`commercial` refuses what does not allow commercial use."""
    use: str = "train"
    """What it is prepared for, `train` or `evaluation`; a corpus says what it may be used for."""
    unknown: str = "raise"
    """What becomes of a label without a mapping: `raise`, `drop_tag` or `drop_clip`."""
    streaming: bool = False
    """Read a corpus of the Hub without downloading it whole."""
    limit: int = 0
    """Rows of a corpus that are read; 0 is all."""
    demo: DemoConfig = field(default_factory=DemoConfig)
    recordings: RecordingsConfig = field(default_factory=RecordingsConfig)
    dialogue: DialogueLimits = field(default_factory=DialogueLimits)


def source_problems(config: SourceConfig) -> list[str]:
    """Return what is out of range, one sentence each with its remedy."""
    found = []
    for key, value, choices in (
        ("licence", config.licence, LICENCES), ("use", config.use, USES), ("unknown", config.unknown, UNKNOWN),
        ("corpus", config.corpus, ("demo", "recordings", *corpora())),
    ):  # fmt: skip
        if key == "corpus" and is_declaration_file(value):
            if not Path(value).is_file():
                found.append(
                    f"data.corpus={value}: there is no such file; give the YAML declaration of a corpus"
                )
        elif value not in choices:
            found.append(f"data.{key}={value} is unknown; choose one of {', '.join(choices)}")
    if config.limit < 0:
        found.append(f"data.limit={config.limit} must be 0 (all) or more")
    if config.corpus == "recordings":
        found += config.recordings.problems()
    return found + (config.demo.problems() if config.corpus == "demo" else []) + config.dialogue.problems()


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
