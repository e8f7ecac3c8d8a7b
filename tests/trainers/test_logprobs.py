"""Chunked log-probabilities equal those of the full logits, and so do their gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers
from torch import Tensor, nn
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

from reasonbench.trainers import logprobs
from reasonbench.trainers.completion_loss import completion_loss
from reasonbench.trainers.logprobs import completion_logprobs, linear_logprobs, spread, trained_mask
from tests.trainers.golden import ours, setting

EVERY = list(range(len(setting.PROMPTS)))


def by_full_logits(model: Any, padded: Any, temperature: float) -> tuple[Tensor, Tensor]:
    logits = model(input_ids=padded.ids, use_cache=False).logits.float()
    logs = torch.log_softmax(logits.flatten(0, 1)[padded.where] / temperature, -1)
    return logs.gather(-1, padded.targets[:, None])[:, 0], -(logs.exp() * logs).sum(-1)


def gradients(model: Any, of: Tensor) -> dict[str, Tensor]:
    model.zero_grad()
    of.backward()
    return {name: weight.grad.clone() for name, weight in model.named_parameters()}


@pytest.mark.parametrize("entries", [logprobs.ENTRIES, 5 * setting.VOCABULARY, 1])
@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_log_probabilities_entropies_and_gradients(
    monkeypatch: pytest.MonkeyPatch, entries: int, temperature: float
) -> None:
    monkeypatch.setattr(logprobs, "ENTRIES", entries)
    compare(setting.build(), temperature)


@pytest.mark.parametrize(
    ("family", "option"),
    [
        ("Gemma2", {"final_logit_softcapping": 2.0}),
        ("Cohere", {"logit_scale": 0.5}),
        ("Granite", {"logits_scaling": 4.0}),
    ],
)
def test_models_that_change_their_logits(
    monkeypatch: pytest.MonkeyPatch, family: str, option: dict[str, float]
) -> None:
    monkeypatch.setattr(logprobs, "ENTRIES", 5 * setting.VOCABULARY)
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(
        vocab_size=setting.VOCABULARY,
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=4,
        initializer_range=1.0,
        pad_token_id=setting.PAD,
        bos_token_id=None,
        eos_token_id=setting.END,
        **option,
    )
    compare(getattr(transformers, f"{family}ForCausalLM")(config).float(), 0.8)


def compare(model: Any, temperature: float) -> None:
    padded = ours.rows(EVERY)
    weights = setting.waves(len(padded.targets), 0.8, 0.1, 1.0)
    others = setting.waves(len(padded.targets), 0.5, 0.9, 1.0)
    scored = completion_logprobs(model, padded, temperature, entropy=True)
    wanted, spreads = by_full_logits(model, padded, temperature)
    assert scored.entropy is not None
    assert_close(scored.logprobs, wanted)
    assert_close(scored.entropy, spreads)
    own = gradients(model, (scored.logprobs * weights + scored.entropy * others).sum())
    full = gradients(model, (wanted * weights + spreads * others).sum())
    for name, gradient in full.items():
        assert_close(own[name], gradient, atol=1e-5, rtol=1e-5)


def test_a_head_with_a_bias_is_honoured() -> None:
    model, padded = setting.build(), ours.rows(EVERY)
    model.lm_head.bias = nn.Parameter(setting.waves(setting.VOCABULARY, 1.0, 0.0, 2.0))
    scored = completion_logprobs(model, padded)
    wanted, _ = by_full_logits(model, padded, 1.0)
    assert_close(scored.logprobs, wanted)
    own, full = gradients(model, scored.logprobs.sum()), gradients(model, wanted.sum())
    assert_close(own["lm_head.bias"], full["lm_head.bias"])


def test_their_sum_is_the_supervised_loss() -> None:
    model, padded = setting.build(), ours.rows(EVERY)
    scored = completion_logprobs(model, padded)
    assert scored.entropy is None
    assert -scored.logprobs.sum().item() == pytest.approx(completion_loss(model, padded).item())


def test_chunks_give_the_same_in_bf16() -> None:
    hidden = setting.waves(64 * 8, 0.9, 0.0, 2.0).view(64, 8).bfloat16().requires_grad_()
    weight = setting.waves(32 * 8, 0.4, 0.5, 2.0).view(32, 8).bfloat16().requires_grad_()
    targets = torch.arange(64) % 32
    results = []
    for entries in (2**25, 32 * 10):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(logprobs, "ENTRIES", entries)
            scored = linear_logprobs(hidden, weight, targets, entropy=True)
            grads = torch.autograd.grad(scored.logprobs.sum(), (hidden, weight))
            results.append((scored.logprobs, scored.entropy, *grads))
    assert results[0][0].dtype == torch.float32
    assert results[0][2].dtype == torch.bfloat16
    for one, other in zip(*results, strict=True):
        assert_close(one, other, atol=0.05, rtol=0.02)


class Largest(TorchDispatchMode):
    """Remembers the most entries of a tensor that any operation made."""

    entries = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for made in out if isinstance(out, tuple | list) else [out]:
            if isinstance(made, Tensor):
                self.entries = max(self.entries, made.numel())
        return out


@pytest.mark.parametrize("entropy", [False, True])
def test_no_pass_makes_the_full_logits(monkeypatch: pytest.MonkeyPatch, entropy: bool) -> None:
    monkeypatch.setattr(logprobs, "ENTRIES", 20_000)
    hidden = setting.waves(200 * 8, 0.9, 0.0, 2.0).view(200, 8).requires_grad_()
    weight = setting.waves(1000 * 8, 0.4, 0.5, 2.0).view(1000, 8).requires_grad_()
    with Largest() as seen:
        scored = linear_logprobs(hidden, weight, torch.arange(200), 0.9, entropy)
        sum(x.sum() for x in (scored.logprobs, scored.entropy) if x is not None).backward()
    assert 8 * 1000 < seen.entries <= 20_000
    assert weight.grad is not None


def test_without_gradient_and_without_tokens() -> None:
    model, padded = setting.build(), ours.rows(EVERY)
    with torch.no_grad():
        assert not completion_logprobs(model, padded, entropy=True).logprobs.requires_grad
    nothing = padded._replace(where=padded.where[:0], targets=padded.targets[:0])
    scored = completion_logprobs(model, nothing, entropy=True)
    assert scored.logprobs.shape == (0,)
    scored.logprobs.sum().backward()


def test_a_frozen_head_gets_no_gradient() -> None:
    hidden = setting.waves(40, 0.9, 0.0, 2.0).view(5, 8).requires_grad_()
    weight = setting.waves(48, 0.4, 0.5, 2.0).view(6, 8)
    linear_logprobs(hidden, weight, torch.arange(5)).logprobs.sum().backward()
    assert hidden.grad is not None
    assert weight.grad is None


def test_spread_puts_numbers_where_their_tokens_are_predicted() -> None:
    padded = ours.rows([1, 3])
    mask = trained_mask(padded)
    # Row 0: two prompt tokens and two trained ones; row 1: three and one.
    assert mask.tolist() == [[0, 1, 1], [0, 0, 1]]
    flat = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    laid = spread(flat, padded)
    assert laid[mask > 0].tolist() == [1.0, 2.0, 3.0]
    assert not laid[mask == 0].any()
    (laid * torch.arange(1.0, laid.numel() + 1).view_as(laid)).sum().backward()
    assert flat.grad is not None
    assert flat.grad.tolist() == (padded.where + 1.0).tolist()
