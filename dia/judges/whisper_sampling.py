"""Sampling of Whisper that depends on a seed only, so that the same sound always gives the same words.

CTranslate2 draws from a generator of its worker thread. The generator reads the global seed once, when the
thread first draws, and continues from there for all later recordings. A copy of the model therefore draws
for each recording that needs it: a new copy has a new thread.
"""

from collections.abc import Callable
from typing import Any


class SeededSampling:
    """A CTranslate2 Whisper model; ``load`` returns a new copy, which draws where the temperature is above 0.

    Everything else is passed on to ``model``.
    """

    def __init__(self, model: Any, load: Callable[[], Any]) -> None:
        self._model, self._load = model, load
        self._seed = 0
        self._sampler: Any = None

    def restart(self, seed: int) -> None:
        """Begin a recording: the next draws depend on ``seed`` (32 bits) only."""
        self._seed, self._sampler = seed, None

    def generate(self, *inputs: Any, **options: Any) -> Any:
        """Decode as CTranslate2 does."""
        if not options.get("sampling_temperature"):
            return self._model.generate(*inputs, **options)
        if self._sampler is None:
            import ctranslate2

            ctranslate2.set_random_seed(self._seed)
            self._sampler = self._load()
        return self._sampler.generate(*inputs, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)
