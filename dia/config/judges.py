"""Judges of the evaluation: which models score clips, and what the nonverbal detector is calibrated on."""

from dataclasses import dataclass


@dataclass
class JudgesConfig:
    """Models that score clips: a folder, or a name at the Hugging Face Hub (`@REVISION` may follow). Empty
    skips what the model would measure, unless a default is given."""

    whisper: str = ""
    """Whisper for the word error rate: a size (`large-v3`) or a folder in CTranslate2's format; empty takes
    the tiny English one that is installed with the extra `evaluation`."""
    second_asr: str = "pocketsphinx"
    """Second recogniser: `pocketsphinx`, or a CTC model such as `facebook/wav2vec2-base-960h`."""
    aligner: str = ""
    """CTC model for forced alignment of the script; empty aligns the script with the recognised words."""
    wavlm: str = ""
    """Speaker model: `microsoft/wavlm-base-plus-sv` or another one with an x-vector head."""
    ecapa: str = ""
    """Speaker model: the ONNX file of WeSpeaker's ECAPA-TDNN, or of another of its models."""
    events: str = ""
    """Detector of nonverbal sounds: the folder `model` of a run of +recipe=event_detector; empty takes
    YAMNet."""
    utmos: str = ""
    """File of weights for utmos-pytorch."""
    emotion: str = ""
    """Emotion model: `audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim` or another one with its head."""


@dataclass
class CalibrateConfig:
    """Everything that `python -m dia.eval calibrate` reads."""

    folder: str = ""
    """Folder with a folder for each source, such as `hedgewars` and `asterisk`, with its audio files."""
    labels: str = "eval/detectors/real.yaml"
    """Labels of the files: a shipped declaration, or the path of one."""
    detector: str = ""
    """Detector to calibrate: the folder `model` of a run of +recipe=event_detector; empty takes YAMNet."""
    seconds: float = 9.0
    """Length of the clips of running speech that the sounds are mixed into: that of the clips to evaluate."""
    out: str = "calibration.json"
    """JSON file of the result."""
