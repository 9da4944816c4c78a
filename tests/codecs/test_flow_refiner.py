import torch

from dia.codecs.flow_refiner import RESIDUAL_SCALE, CodeNoise, DetailFlow, frequency_weights


def test_an_untrained_flow_with_zero_velocity_adds_nothing():
    flow = DetailFlow(bins=5, feature_width=3, width=8, layers=1)
    torch.nn.init.zeros_(flow.write.bias)
    mean = torch.randn(2, 7, 5)
    torch.testing.assert_close(
        flow.sharpen(torch.randn(2, 7, 3), mean, torch.zeros_like(mean), steps=4), mean
    )


def test_the_exact_velocity_has_zero_loss_and_recovers_the_residual():
    """With the exact field towards one known residual, the loss is 0 and Euler's method recovers it."""
    true = torch.randn(2, 7, 5)

    class ExactFlow(DetailFlow):
        def forward(self, residual, time, features, mean):
            return ((true - mean) / RESIDUAL_SCALE - residual) / (1 - time[:, None, None])

    flow, features, mean = ExactFlow(5, 3, 8, 1), torch.randn(2, 7, 3), torch.randn(2, 7, 5)
    assert flow.loss(true, features, mean, torch.ones(5)) < 1e-6
    torch.testing.assert_close(flow.sharpen(features, mean, torch.randn_like(mean), steps=4), true)


def test_the_flow_learns_detail_that_the_features_determine():
    torch.manual_seed(0)
    flow, mean, weights = DetailFlow(6, 2, 32, 2), torch.zeros(8, 10, 6), torch.ones(6)
    optimizer = torch.optim.Adam(flow.parameters(), lr=3e-3)
    pattern = torch.randn(2, 6)
    for _ in range(300):
        features = torch.randn(8, 10, 2).sign()
        loss = flow.loss(RESIDUAL_SCALE * features @ pattern, features, mean, weights)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    features = torch.randn(8, 10, 2).sign()
    true = RESIDUAL_SCALE * features @ pattern
    with torch.no_grad():
        result = flow.sharpen(features, mean, torch.randn_like(mean), steps=8)
    assert (result - true).square().mean() < 0.1 * true.square().mean()


def test_noise_is_determined_by_the_codes_and_is_standard_normal():
    noise, codes = CodeNoise(4, 16, 3, 50), torch.randint(0, 16, (2, 200, 4))
    result = noise(codes)
    assert result.shape == (2, 600, 50) and abs(result.mean()) < 0.05 and abs(result.std() - 1) < 0.05
    assert torch.equal(noise(codes[:, 7:11]), result[:, 21:33])  # a window has the noise of the whole
    other = codes.clone()
    other[:, :, 2] = (codes[:, :, 2] + 1) % 16
    assert abs((noise(other) * result).mean() - 0.75) < 0.1  # one of four codebooks changed
    same = noise(torch.full((1, 1, 4), 5))
    assert abs((same[..., :-1] * same[..., 1:]).mean()) < 0.3  # equal codes in all codebooks do not add up


def test_frequency_weights_decrease_and_have_a_mean_of_one():
    weights = frequency_weights(321, 16_000)
    assert (weights.diff() < 0).all()
    torch.testing.assert_close(weights.mean(), torch.tensor(1.0))
