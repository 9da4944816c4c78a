import copy

import torch

from dia.training.residual_dropout import LAST_PROJECTION, add_residual_dropout
from tests.training.clips import RandomClips


def test_dropout_applies_to_every_block_in_training_only(tiny):
    batch, plain, seen = RandomClips([30, 40]).batch(0, 1), copy.deepcopy(tiny), []
    add_residual_dropout(tiny, 0.25)
    for layer in (*tiny.encoder.layers, *tiny.decoder.layers):
        for part in LAST_PROJECTION.keys() & dict(layer.named_children()).keys():
            last = getattr(getattr(layer, part), LAST_PROJECTION[part])
            last.register_forward_hook(
                lambda module, inputs, out: seen.append(float((out == 0).float().mean()))
            )
    arguments = batch.text_BS, batch.text_mask_BS, batch.inputs_BTC
    assert torch.equal(tiny.eval()(*arguments), plain(*arguments)) and max(seen) == 0
    seen.clear()
    tiny.train()(*arguments)
    assert len(seen) == 2 * 2 + 2 * 3 and all(0.2 < share < 0.3 for share in seen)
    assert tiny.state_dict().keys() == plain.state_dict().keys()
