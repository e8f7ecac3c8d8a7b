"""Peak memory of a policy-gradient step on a large vocabulary: in chunks, and by full logits.

    python perf/training_memory.py [--length 4096] [--vocabulary 151936] [--hidden 128]
        [--layers 2] [--dtype bfloat16] [--entropy] [--json]

One completion of `--length` tokens through a Qwen3 with random weights: log-probabilities (with
`--entropy` also entropies), GRPO's loss with a KL, backward, and an AdamW step. Each way runs in a
process of its own; the peak is the resident set (`ru_maxrss`), on a GPU torch's allocator. `above`
is what the step adds to the model that is already there.

- `chunks`: `logprobs.completion_logprobs`;
- `full logits`: the model's own logits of all positions and torch's cross-entropy.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import multiprocessing
import resource
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

WAYS = ("chunks", "full logits")


@dataclasses.dataclass(frozen=True)
class Setting:
    """The model and the completion that are measured."""

    length: int = 4096
    vocabulary: int = 151_936
    hidden: int = 128
    layers: int = 2
    dtype: str = "bfloat16"
    entropy: bool = False
    device: str = "cpu"


@dataclasses.dataclass(frozen=True)
class Peak:
    """What a step took.

    Attributes:
        way: one of `WAYS`.
        before: bytes with the model and the optimizer in place.
        peak: most bytes during the step.
        seconds: of the step, the first.
        loss: the value, which must not depend on the way.
    """

    way: str
    before: int
    peak: int
    seconds: float
    loss: float

    @property
    def above(self) -> int:
        """Bytes that the step adds at its peak."""
        return self.peak - self.before


def measure(way: str, setting: Setting) -> Peak:
    """One way's peak, in a fresh process, as a process's peak never falls."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_step, (way, setting))


def _step(way: str, setting: Setting) -> Peak:
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    from reasonbench.trainers.completion_loss import pad
    from reasonbench.trainers.data import Encoded
    from reasonbench.trainers.logprobs import spread, trained_mask
    from reasonbench.trainers.policy_losses import Divisor, PolicyLoss, TokenBatch, policy_loss

    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=setting.vocabulary,
        hidden_size=setting.hidden,
        intermediate_size=4 * setting.hidden,
        num_hidden_layers=setting.layers,
        num_attention_heads=max(1, setting.hidden // 32),
        num_key_value_heads=max(1, setting.hidden // 64),
        head_dim=32,
        max_position_embeddings=setting.length + 16,
        tie_word_embeddings=True,
    )
    dtype = getattr(torch, setting.dtype)
    model = Qwen3ForCausalLM(config).to(device=setting.device, dtype=dtype)
    model.set_attn_implementation("sdpa")
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6)
    _have_state(optimizer)
    prompt = 8
    ids = torch.randint(0, setting.vocabulary, (setting.length + prompt,)).tolist()
    trained = [False] * prompt + [True] * setting.length
    padded = pad([Encoded(ids, trained)], 0, setting.device)
    score = {"chunks": _chunks, "full logits": _full}[way]
    used, most = _meters(setting.device)
    before = used()
    begun = time.perf_counter()
    flat, entropy = score(model, padded, setting.entropy)
    mask = trained_mask(padded)
    own = spread(flat, padded)
    old = own.detach()
    batch = TokenBatch(own, old, torch.ones(1, device=own.device), mask, old - 0.1 * mask)
    loss, _ = policy_loss(PolicyLoss(kl="k3", beta=0.04), batch, Divisor.of([mask]))
    if entropy is not None:
        loss = loss - 0.001 * entropy.mean()
    torch.autograd.backward(loss)
    optimizer.step()
    return Peak(way, before, most(), time.perf_counter() - begun, loss.item())


def _chunks(model: Any, padded: Any, entropy: bool) -> tuple[Tensor, Tensor | None]:
    from reasonbench.trainers.logprobs import completion_logprobs

    scored = completion_logprobs(model, padded, entropy=entropy)
    return scored.logprobs, scored.entropy


def _full(model: Any, padded: Any, entropy: bool) -> tuple[Tensor, Tensor | None]:
    import torch
    import torch.nn.functional as F  # noqa: N812 - torch's own custom

    logits = model(input_ids=padded.ids, use_cache=False).logits
    # The trained positions are the last ones of the one row: a view, not a copy.
    logits = logits[0, -len(padded.targets) :].float()
    flat = -F.cross_entropy(logits, padded.targets, reduction="none")
    if not entropy:
        return flat, None
    logs = torch.log_softmax(logits, -1)
    return flat, -(logs.exp() * logs).sum(-1)


def _have_state(optimizer: Any) -> None:
    """Makes the optimizer's state by a step without change, so that it is there before."""
    import torch

    for group in optimizer.param_groups:
        for weight in group["params"]:
            weight.grad = torch.zeros_like(weight)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def _meters(device: str) -> tuple[Callable[[], int], Callable[[], int]]:
    """Bytes in use now, and the most so far."""
    import torch

    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated, torch.cuda.max_memory_allocated
    return _resident, lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for field in dataclasses.fields(Setting):
        name = f"--{field.name}"
        if isinstance(field.default, bool):
            parser.add_argument(name, action="store_true")
        else:
            parser.add_argument(name, type=type(field.default), default=field.default)
    parser.add_argument("--json", action="store_true")
    options = vars(parser.parse_args())
    as_json = options.pop("json")
    peaks = [measure(way, Setting(**options)) for way in WAYS]
    if as_json:
        print(json.dumps([dataclasses.asdict(p) | {"above": p.above} for p in peaks]))
        return
    for peak in peaks:
        print(
            f"{peak.way:>12}: peak {peak.peak / 1e9:6.2f} GB, {peak.above / 1e9:6.2f} GB above "
            f"the model, {peak.seconds:6.2f} s, loss {peak.loss:.6f}"
        )
    first, second = peaks
    print(
        f"{'ratio':>12}: {first.peak / second.peak:.3f} of the peak, "
        f"{first.above / second.above:.3f} of what the step adds"
    )


if __name__ == "__main__":
    main()
