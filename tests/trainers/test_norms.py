"""The quick norm computes what transformers' norms do."""

from __future__ import annotations

import copy

import pytest
import torch
import transformers
from torch import nn
from torch.testing import assert_close
from transformers.models.qwen3.modeling_qwen3 import Qwen3RMSNorm

from reasonbench.trainers.norms import rms_norm, use_fast_norms
from tests.trainers.golden import setting


def example(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    count = int(torch.tensor(shape).prod())
    return setting.waves(count, 0.7, 1.0, 3.0).view(shape).to(dtype).requires_grad_()


@pytest.mark.parametrize("shape", [(40, 16), (2, 5, 3, 8)])
def test_values_and_gradients(shape: tuple[int, ...]) -> None:
    values, weight = example(shape, torch.float64), example(shape[-1:], torch.float64)
    scale = (values.square().mean(-1, keepdim=True) + 1e-6).rsqrt()
    upper = setting.waves(values.numel(), 0.3, 0.0, 1.0).view(shape).double()
    wanted = torch.autograd.grad(values * scale * weight, (values, weight), upper)
    mine = rms_norm(values.float(), weight.float(), 1e-6)
    assert_close(mine.double(), values * scale * weight, atol=1e-5, rtol=1e-5)
    for one, other in zip(
        torch.autograd.grad(mine, (values, weight), upper.float()), wanted, strict=True
    ):
        assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_the_incoming_gradient_is_left_as_it_is() -> None:
    values, weight = example((4, 8), torch.float32), example((8,), torch.float32)
    upper = torch.ones(4, 8)
    rms_norm(values, weight, 1e-6).backward(upper)
    assert torch.equal(upper, torch.ones(4, 8))


def test_in_bf16_the_output_is_that_of_transformers() -> None:
    theirs = Qwen3RMSNorm(64).bfloat16()
    theirs.weight.data = setting.waves(64, 0.4, 0.2, 1.5).bfloat16()
    values = example((50, 64), torch.bfloat16)
    mine = rms_norm(values, theirs.weight, theirs.variance_epsilon)
    differing = (mine != theirs(values)).float().mean()
    assert differing < 0.01  # a last bit here and there


def test_a_model_keeps_its_loss_and_gradients() -> None:
    plain, quick = setting.build(), setting.build()
    assert use_fast_norms(quick) == 5
    ids = torch.tensor([[3, 7, 4, 10, 3, 12, 5, 1]])
    for model in (plain, quick):
        model(input_ids=ids, labels=ids).loss.backward()
    for one, other in zip(plain.parameters(), quick.parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        assert_close(one.grad, other.grad, atol=1e-5, rtol=1e-5)


def test_a_copied_model_uses_its_own_weights() -> None:
    model = setting.build()
    use_fast_norms(model)
    ids = torch.tensor([[3, 7, 4, 10]])
    before = model(input_ids=ids).logits
    twin = copy.deepcopy(model)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(2.0)
    assert torch.equal(twin(input_ids=ids).logits, before)
    assert not torch.equal(model(input_ids=ids).logits, before)


def test_another_kind_of_norm_keeps_its_code() -> None:
    config = transformers.Gemma2Config(
        vocab_size=16,
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=4,
    )
    model = transformers.Gemma2ForCausalLM(config)
    assert use_fast_norms(model) == 0
    shifted = Qwen3RMSNorm(8)
    shifted.forward = lambda x: nn.functional.rms_norm(x, (8,)) * (1 + shifted.weight)
    assert use_fast_norms(shifted) == 0
