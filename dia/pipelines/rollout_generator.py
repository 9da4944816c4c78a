"""Generate and judge the takes of `objective=grpo`, and make them a batch.

Legend: B take, G group, K take of a group.
"""

import hashlib
import time
from collections.abc import Callable, Sequence

import torch
from lightning.pytorch.utilities.seed import isolate_rng

from dia.codecs.protocol import Codec
from dia.config.preference import GrpoConfig
from dia.data.collation import Example, collate
from dia.dialogue.text import encode_text
from dia.inference import Sampling, Speech, Synthesizer
from dia.network import DiaNetwork
from dia.training.objectives.grpo import group_advantages
from dia.training.rollouts import Rollout, ScriptBatch

Rewards = Callable[[Sequence[int], list[Speech]], list[float]]
"""From the rows of scripts, one for each take, and the takes, to the reward of each take."""


class RolloutGenerator:
    """Generates a group of takes of each script with the current weights, and judges them.

    ``texts`` are those of all scripts by row. The seed of a take depends on the run's seed, the rollout, the
    row and the place in its group, so that takes do not depend on ranks and micro-batches.
    """

    def __init__(
        self,
        codec: Codec,
        texts: Sequence[str],
        sampling: Sampling,
        max_tokens: int,
        settings: GrpoConfig,
        rewards: Rewards,
        seed: int,
    ) -> None:
        self.codec, self.texts, self.sampling, self.max_tokens = codec, texts, sampling, max_tokens
        self.settings, self.rewards, self.seed = settings, rewards, seed

    def __call__(self, network: DiaNetwork, batch: ScriptBatch) -> Rollout:
        """Return the takes of a batch's scripts; global random states stay unchanged."""
        rows = [row for row in batch.rows for _ in range(self.settings.takes)]
        seeds = [self._seed(batch.rollout, row, take) for row, take in self._takes(batch)]
        started = time.perf_counter()
        with isolate_rng():
            takes = self._speak(network, [self.texts[row] for row in rows], seeds)
            spoken = time.perf_counter()
            rewards = self.rewards(rows, takes)
        scored = time.perf_counter()
        rewards_GK = torch.tensor(rewards, dtype=torch.float64).view(len(batch.rows), -1)
        advantages_GK = group_advantages(rewards_GK, normalize=self.settings.normalize_advantage)
        examples = [
            Example(f"{row}-{seed}", torch.tensor(encode_text(self.texts[row])), take.codes_TC, 0, take.ended)
            for row, seed, take in zip(rows, seeds, takes, strict=True)
        ]
        collated = collate(examples, [False] * len(examples), network.config)
        tensors = {
            "text_BS": collated.text_BS,
            "text_mask_BS": collated.text_mask_BS,
            "inputs_BTC": collated.inputs_BTC.contiguous(),
            "targets_BTC": collated.targets_BTC.contiguous(),
            "advantages_B": advantages_GK.flatten().float(),
        }
        return Rollout(tensors, rewards_GK, spoken - started, scored - spoken)

    def _takes(self, batch: ScriptBatch) -> list[tuple[int, int]]:
        return [(row, take) for row in batch.rows for take in range(self.settings.takes)]

    def _seed(self, rollout: int, row: int, take: int) -> int:
        digest = hashlib.sha256(f"{self.seed} {rollout} {row} {take}".encode()).digest()
        return int.from_bytes(digest[:4], "big")

    def _speak(self, network: DiaNetwork, texts: list[str], seeds: list[int]) -> list[Speech]:
        training = network.training
        network.eval()
        try:
            # layers compiled for training would be compiled again for every length
            with torch.compiler.set_stance("force_eager"):
                return Synthesizer(network, self.codec).synthesize(
                    texts, seeds, self.sampling, self.max_tokens
                )
        finally:
            network.train(training)
