"""Optimizers over fp32 master weights of a model that computes in another precision.

Small updates vanish when they are added to bf16 weights: the optimizer works on fp32 copies, which
are cast to the model after each step. A model in fp32 is its own master. Of a sharded model each
process updates its part; the state that is saved is whole, whatever the number of processes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from reasonbench.trainers.config import OptimizerConfig
from reasonbench.trainers.parallel import collected, placed, whole

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class MasterOptimizer:
    """Muon on the hidden matrices and AdamW on the rest, or AdamW alone, on fp32 masters.

    Muon: Jordan et al. 2024, with the update scaled to AdamW's root mean square (Liu et al. 2025,
    "Muon is scalable for LLM training", section 2.2), so that both take rates of one size.
    """

    def __init__(
        self, model: PreTrainedModel, config: OptimizerConfig, head: nn.Module | None = None
    ) -> None:
        """Args: model; config; head: what its hidden states go to, where that is no vocabulary."""
        named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        self.config = config
        self.names = [name for name, _ in named]
        self.weights: list[nn.Parameter] = [p for _, p in named]
        self.masters: list[Tensor] = [
            p if p.dtype == torch.float32 else p.detach().float().requires_grad_()
            for p in self.weights
        ]
        inputs = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
        output = model.get_output_embeddings() if head is None else head
        heads = {id(p) for p in output.parameters()}
        hidden: list[Tensor] = []
        rest: list[Tensor] = []
        vectors: list[Tensor] = []
        for weight, master in zip(self.weights, self.masters, strict=True):
            if weight.dim() < 2:
                vectors.append(master)
            elif weight.dim() == 2 and id(weight) not in inputs | heads:
                hidden.append(master)
            else:
                rest.append(master)
        adamw = [{"params": rest, "weight_decay": config.embedding_decay}]
        adamw += [{"params": vectors, "weight_decay": 0.0}]
        self.optimizers: list[torch.optim.Optimizer] = []
        if config.name == "muon":
            self.optimizers.append(
                torch.optim.Muon(
                    hidden,
                    lr=config.lr,
                    weight_decay=config.weight_decay,
                    momentum=config.momentum,
                    adjust_lr_fn="match_rms_adamw",
                )
            )
        else:
            adamw.append({"params": hidden, "weight_decay": config.weight_decay})
        groups = [g for g in adamw if g["params"]]
        betas = (config.beta1, config.beta2)
        if groups:
            self.optimizers.append(torch.optim.AdamW(groups, lr=config.adamw_lr, betas=betas))

    def step(self, scale: float) -> float:
        """One update at `scale` times the peak rates; returns the gradient norm before clipping.

        Where the norm is not finite nothing is updated: the weights stay what they were.
        """
        for weight, master in zip(self.weights, self.masters, strict=True):
            if weight is not master and weight.grad is not None:
                master.grad = weight.grad.float()
                weight.grad = None
        grads = [m.grad for m in self.masters if m.grad is not None]
        norm = float(whole(torch.nn.utils.get_total_norm(grads)))
        if not math.isfinite(norm):
            for optimizer in self.optimizers:
                optimizer.zero_grad(set_to_none=True)
            return norm
        if norm > self.config.clip:
            torch._foreach_mul_(grads, self.config.clip / norm)
        for optimizer in self.optimizers:
            muon = isinstance(optimizer, torch.optim.Muon)
            for group in optimizer.param_groups:
                group["lr"] = scale * (self.config.lr if muon else self.config.adamw_lr)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self._cast()
        return norm

    def state(self) -> dict[str, Any]:
        """Masters by name and the state of every optimizer, all whole.

        Every process has to call it; of a sharded model only the main one gets the numbers.
        """
        masters = {n: collected(m) for n, m in zip(self.names, self.masters, strict=True)}
        optimizers = []
        for optimizer in self.optimizers:
            state = optimizer.state_dict()
            # the entries are those that the optimizer works with: they are copied, not changed
            held = {
                index: {k: collected(v) if isinstance(v, Tensor) else v for k, v in entry.items()}
                for index, entry in state["state"].items()
            }
            optimizers.append({**state, "state": held})
        return {"masters": masters, "optimizers": optimizers}

    def load(self, state: dict[str, Any]) -> None:
        """Takes back what `state` gave; the model's weights are set from the masters."""
        with torch.no_grad():
            for name, master in zip(self.names, self.masters, strict=True):
                master.copy_(placed(state["masters"][name], master))
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            parameters = list(_parameters(optimizer))
            held = {
                index: {
                    key: placed(value, parameters[index]) if isinstance(value, Tensor) else value
                    for key, value in entry.items()
                }
                for index, entry in saved["state"].items()
            }
            optimizer.load_state_dict({**saved, "state": held})
        self._cast()

    def _cast(self) -> None:
        with torch.no_grad():
            for weight, master in zip(self.weights, self.masters, strict=True):
                if weight is not master:
                    weight.copy_(master)


def _parameters(optimizer: torch.optim.Optimizer) -> Iterator[Tensor]:
    """In the order in which `state_dict` numbers them."""
    for group in optimizer.param_groups:
        yield from group["params"]
