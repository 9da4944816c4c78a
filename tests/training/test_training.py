import torch
import torch.nn.functional as F

from dia.training.loss import channel_sums, channel_weights, weighted_loss
from dia.training.resume import RunFingerprint
from dia.training.run_folder import RunState, acquire_run, begin_run, read_metrics


def case(batch=2, steps=6):
    torch.manual_seed(0)
    return torch.randn(batch, steps, 4, 36), torch.randint(0, 36, (batch, steps, 4))


def test_loss_is_the_weighted_mean_over_channels():
    logits, targets = case()
    wanted = torch.zeros(())
    for channel in range(4):
        in_loss = targets[..., channel] <= 32
        wanted += (4.0 if channel == 0 else 1.0) * F.cross_entropy(
            logits[..., channel, :][in_loss], targets[..., channel][in_loss]
        )
    torch.testing.assert_close(
        weighted_loss(channel_sums(logits, targets, 32), channel_weights(4, 4.0)), wanted / 7
    )


def test_padding_changes_no_loss_and_sums_add_up():
    logits, targets = case()
    weights = channel_weights(4, 4.0)
    whole = weighted_loss(channel_sums(logits, targets, 32), weights)
    longer = (
        torch.cat((logits, torch.randn(2, 3, 4, 36)), 1),
        torch.cat((targets, torch.full((2, 3, 4), 33)), 1),
    )
    torch.testing.assert_close(weighted_loss(channel_sums(*longer, 32), weights), whole)
    halves = channel_sums(logits[:1], targets[:1], 32) + channel_sums(logits[1:], targets[1:], 32)
    torch.testing.assert_close(weighted_loss(halves, weights), whole)


def test_code_zero_contributes_to_the_loss():
    logits = torch.zeros(1, 1, 4, 36)
    assert (channel_sums(logits, torch.zeros(1, 1, 4, dtype=torch.long), 32).count_C == 1).all()


def test_the_loss_curve_of_a_run_survives_two_crashes(tmp_path):
    for first, last in ((0, 5), (3, 8), (6, 9)):
        begin_run(tmp_path, "")
        lines = [f"{step},{step}.5" for step in range(first, last)]
        (tmp_path / "metrics.csv").write_text("\n".join(["step,train/loss", *lines]) + "\n")
    assert [(row["step"], row["train/loss"]) for row in read_metrics(tmp_path)] == [
        (str(n), f"{n}.5") for n in range(9)
    ]


def test_a_run_killed_at_its_start_starts_again(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / ".lock").touch()
    (run / ".4711-config.yaml").write_text("half")
    assert acquire_run(run, "auto", RunFingerprint({}, 1)) == (RunState(run), [])
    (run / "notes.txt").touch()
    assert "holds no run" in acquire_run(run, "auto", RunFingerprint({}, 1))[1][0]
