"""A new trainer strategy is an enum member and a function: one is added here, and a run trains with it."""

import json

from lightning.pytorch.strategies import SingleDeviceStrategy

from dia.config.choices import Strategy
from dia.training import distributed
from tests.enum_members import add_member
from tests.training.whole_runs import make_noise, train_here


def test_a_strategy_is_an_enum_member_and_a_function(tmp_path, monkeypatch):
    built = []

    def one_device(processes):
        built.append(SingleDeviceStrategy("cpu"))
        return built[-1]

    member = add_member(monkeypatch, Strategy, "one_device")  # the first file
    monkeypatch.setitem(distributed.STRATEGIES, "one_device", one_device)  # the second file
    assert not member.sharded
    monkeypatch.setattr(Strategy, "distributed", property(lambda self: self in ("ddp", "fsdp2")))
    make_noise(tmp_path)
    train_here(tmp_path, monkeypatch, "trainer.strategy=one_device", "trainer.steps=2", "run_name=new")
    assert json.loads((tmp_path / "runs" / "new" / "finished.json").read_text()) == {"steps": 2}
    assert len(built) == 1
