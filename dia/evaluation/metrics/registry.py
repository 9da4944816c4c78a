"""All metrics, put together from names: which recognisers, encoders, predictors and aligner are used is the
user's choice.
"""

from collections.abc import Mapping

from dia.config.judges import JudgesConfig
from dia.evaluation.compatibility import SeedTtsWordErrors, ZipVoiceWordErrors
from dia.evaluation.metrics.attribution import AttributedWords, PermutedSimilarity
from dia.evaluation.metrics.emotion import PredictedEmotion
from dia.evaluation.metrics.failures import Failures
from dia.evaluation.metrics.nonverbals import NonverbalAdherence
from dia.evaluation.metrics.not_measured import Unavailable
from dia.evaluation.metrics.prosody import Arousal, Prosody
from dia.evaluation.metrics.protocol import Metric
from dia.evaluation.metrics.quality import PredictedQuality
from dia.evaluation.metrics.speakers import SpeakerSimilarity
from dia.evaluation.metrics.turns import TurnAccuracy
from dia.evaluation.metrics.words import WordErrorRate
from dia.evaluation.shared_models import Hearing
from dia.judges.ctc import CtcModel
from dia.judges.emotion import DimensionalEmotion
from dia.judges.events import Calibration
from dia.judges.pocketsphinx import PocketSphinx
from dia.judges.quality import DNSMOS_ANSWERS, DistillMos, DnsMos, UtMos
from dia.judges.speaker_encoders import EcapaEncoder, WavLMEncoder
from dia.judges.transcription import Recogniser, Whisper


def metrics_of(config: JudgesConfig, calibration: Mapping[str, Calibration]) -> list[Metric]:
    """Return every metric, each in its place even where a model is missing: it then says why it is not
    measured.
    """
    hearing = Hearing(Whisper(config.whisper or None), CtcModel(config.aligner) if config.aligner else None)
    second: Recogniser = (
        PocketSphinx() if config.second_asr == "pocketsphinx" else CtcModel(config.second_asr)
    )
    return [
        WordErrorRate(hearing, hearing.recogniser),
        WordErrorRate(second, second, "second_wer")
        if config.second_asr
        else _off("second_wer", "second_asr"),
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
        PredictedEmotion(DimensionalEmotion(config.emotion))
        if config.emotion
        else _off("emotion", "emotion"),
        PredictedQuality(DistillMos()),
        PredictedQuality(DnsMos(), "dnsmos", tuple(DNSMOS_ANSWERS.values())),
        PredictedQuality(UtMos(config.utmos), "utmos") if config.utmos else _off("utmos", "utmos"),
        Prosody(hearing),
        Failures(hearing),
        SeedTtsWordErrors(hearing),
        ZipVoiceWordErrors(hearing),
    ]


def _off(name: str, key: str) -> Metric:
    return Unavailable(name, f"no model is named; give one with judges.{key}=...")
