"""What `train sft` logs: curves read it, clocks only grow, what is no number stops the run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from reasonbench.reports.training import read_training
from reasonbench.trainers import checkpoint, loggers
from reasonbench.trainers.config import OptimizerConfig
from reasonbench.trainers.data import Encoded
from reasonbench.trainers.masters import MasterOptimizer
from reasonbench.trainers.sft import TrainingDiverged, train
from reasonbench.trainers.sft_log import Meter, training_cost
from tests.trainers.tiny import config, records


def test_curves_read_the_log_against_every_axis(tmp_path: Path) -> None:
    train(config(log_every=1), tmp_path, records)
    found = read_training(tmp_path, "sft", gpu_price=2.0)
    last = found.steps[-1].step
    for axis in ("tokens", "flops", "time", "dollars"):
        places = [found.places(axis)(step.step) for step in found.steps]
        assert None not in places
        assert places == sorted(places)  # type: ignore[type-var]
    trained = 96 * 2  # a digit and the end of the answer
    assert found.places("tokens")(last) == trained
    assert {"loss", "lr", "grad_norm", "tokens_per_second"} <= set(found.metrics)


def test_other_programs_are_told_every_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[int, dict[str, float]] = {}

    class Kept:
        def log(self, step: int, metrics: dict[str, float]) -> None:
            told[step] = metrics

        def close(self) -> None:
            told[-1] = {}

    monkeypatch.setitem(loggers.LOGGERS, "kept", lambda folder, config, after: Kept())
    train(config(examples=32, log_every=2, log=["kept"]), tmp_path, records)
    assert told.pop(-1) == {}
    assert {"loss", "tokens_trained", "flops", "seconds"} <= set(told[2])


def test_a_text_costs_six_flops_a_weight_and_token_and_attention() -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    from tests.trainers.tiny import INIT

    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**INIT, vocab_size=100))
    size = sum(p.numel() for p in model.parameters())
    attention = 3 * 4 * 2 * 32 * (10 * 11 / 2)
    assert training_cost(model)(10) == pytest.approx(6 * size * 10 + attention)
    model.requires_grad_(False)
    frozen = training_cost(model)(10)
    assert frozen == pytest.approx((6 * size * 10 + attention) * 2 / 3)


def test_a_window_that_a_checkpoint_interrupts_goes_on() -> None:
    example = Encoded([1, 2, 3], [False, True, True])
    sums: dict[str, float] = {}
    first = Meter(sums, float)
    first.add(4.0, 1.0, [[example]])
    second = Meter(dict(sums), float)
    second.add(8.0, 3.0, [[example], [example]])
    row = second.row(2, 1.0, 0.1)
    assert (row.loss, row.grad_norm, row.tokens, row.flops) == (2.0, 2.0, 6, 6.0)


def test_a_gradient_that_is_no_number_changes_no_weight() -> None:
    class Tiny(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(3, 2, bias=False)

    for bad in (float("nan"), float("inf")):
        model = Tiny()
        before = model.head.weight.detach().clone()
        optimizer = MasterOptimizer(model, OptimizerConfig(), head=model.head)
        model.head.weight.grad = torch.full((2, 3), bad)
        assert not optimizer.step(1.0) < float("inf")
        assert torch.equal(model.head.weight, before)
        assert model.head.weight.grad is None


def test_what_diverges_leaves_a_checkpoint_that_can_be_gone_on_from(tmp_path: Path) -> None:
    def poisoned(self: MasterOptimizer, scale: float) -> float:
        if len(steps) == 3:
            for weight in self.weights:
                assert weight.grad is not None
                weight.grad.fill_(float("nan"))
        steps.append(1)
        return whole(self, scale)

    settings = config(checkpoint_every=2, log_every=1)
    steps: list[int] = []
    whole = MasterOptimizer.step
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MasterOptimizer, "step", poisoned)
        with pytest.raises(TrainingDiverged, match="gradient is nan at update 4"):
            train(settings, tmp_path, records)
    kept = torch.load(tmp_path / checkpoint.FILE, weights_only=True)
    assert kept["progress"][0] == 2
    assert all(w.isfinite().all() for w in kept["optimizer"]["masters"].values())
    train(settings, tmp_path, records, resume=True)
    assert read_training(tmp_path, "sft").steps[2].step == 3
