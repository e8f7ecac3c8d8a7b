"""Two processes compute the loss and the gradient of one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

from reasonbench.trainers import ranks
from reasonbench.trainers.advantages import whiten
from reasonbench.trainers.completion_loss import pad
from reasonbench.trainers.logprobs import completion_logprobs, spread, trained_mask
from reasonbench.trainers.policy_losses import Divisor, PolicyLoss, TokenBatch, policy_loss
from reasonbench.trainers.presets import PRESETS
from tests.trainers.golden import ours, setting

SHARES = [[4, 0, 1, 2], [3, 5]]
"""Rows of each process: unequal in completions and in tokens."""
SPECS = {name: preset.loss for name, preset in PRESETS.items()} | ours.POLICY


def gradient(spec: PolicyLoss, rows: list[int], scale: float) -> tuple[float, nn.Module]:
    """This process's loss, with its gradients on the model."""
    model = setting.build()
    near = setting.policy_inputs()
    padded = pad(
        [ours.encoded(setting.PROMPTS[n], setting.COMPLETIONS[n]) for n in rows], setting.PAD, "cpu"
    )
    mask = trained_mask(padded)
    divisor = Divisor.of([mask])
    flat = completion_logprobs(model, padded).logprobs
    own = flat.detach()
    old = spread(own + ours.laid(near["old"], rows), padded)
    reference = spread(own + ours.laid(near["reference"], rows), padded)
    engine = old - spread(ours.laid(near["engine"], rows), padded)
    advantages = whiten(torch.tensor(setting.ADVANTAGES)[rows, None].expand_as(mask), mask)
    batch = TokenBatch(spread(flat, padded), old, advantages, mask, reference, engine)
    loss, _ = policy_loss(spec, batch, divisor)
    (loss * scale).backward()
    return loss.item(), model


def work(rank: int, folder: str) -> None:
    """A process of two: its loss summed over both, its gradients averaged as wrappers do."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    found = {}
    for name, spec in SPECS.items():
        loss, model = gradient(spec, SHARES[rank], scale=ranks.world_size())
        for weight in model.parameters():
            assert weight.grad is not None
            dist.all_reduce(weight.grad)
            weight.grad /= ranks.world_size()
        grads = [float(x) for w in model.parameters() for x in w.grad.flatten()]  # type: ignore[union-attr]
        found[name] = [ranks.total(torch.tensor(loss)).item(), *grads]
    Path(folder, f"{rank}.json").write_text(json.dumps(found))
    dist.destroy_process_group()


def test_two_processes_have_the_loss_and_gradient_of_one(tmp_path: Path) -> None:
    mp.spawn(work, args=(str(tmp_path),), nprocs=2)
    found = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    assert found[0] == found[1]
    for name, spec in SPECS.items():
        loss, model = gradient(spec, [n for share in SHARES for n in share], scale=1.0)
        grads = [float(x) for w in model.parameters() for x in w.grad.flatten()]  # type: ignore[union-attr]
        assert found[0][name] == pytest.approx([loss, *grads], abs=2e-6), name


def test_one_process_needs_no_group() -> None:
    assert ranks.world_size() == 1
    values = torch.tensor([1.0, 2.0], requires_grad=True)
    assert ranks.total(values).tolist() == [1.0, 2.0]
