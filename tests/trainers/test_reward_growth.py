"""What a reward model starts with when it grows out of a policy."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
import torch

from reasonbench.builtin import arithmetic, model_path
from reasonbench.builtin.tokenizer import build_tokenizer
from reasonbench.steps import Boundary, split
from reasonbench.trainers import reward_growth as growth
from reasonbench.trainers.labels import Solution
from reasonbench.trainers.prm import PrmConfig
from reasonbench.trainers.reward_data import RowMaker
from reasonbench.trainers.reward_labels import Labelled
from reasonbench.trainers.reward_model import load_backbone, use_tree_attention
from reasonbench.trainers.reward_rows import RowBatch, Target, pad_rows

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@pytest.fixture(scope="module")
def policy() -> PreTrainedModel:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(model_path(), dtype=torch.float32)
    use_tree_attention(model)
    return model


def wide() -> PreTrainedModel:
    torch.manual_seed(0)
    model = load_backbone(model_path(), "process", growth.LAYERS, growth.SIZE)
    use_tree_attention(model)
    return model


def batches(problems: int) -> Iterator[RowBatch]:
    """Worked solutions of training problems, each with wrong twins of its steps."""
    maker = RowMaker(
        build_tokenizer(),
        PrmConfig(slips=1.0, max_length=400),
        lambda nodes: [Target(1.0, 1.0)] * len(nodes),
    )
    stream = arithmetic.training_stream(random.Random(5))
    for _ in range(problems):
        item = next(stream)
        steps = split(item.worked, Boundary())
        counts = (8,) * len(steps)
        solution = Solution(steps, counts, counts, True)
        rows = maker.rows(Labelled("x", "toy", item.question, "", (solution,)), "seed")
        yield pad_rows(rows, 0, 32, torch.float32)


def test_a_wider_decoder_computes_what_the_policy_did(policy: PreTrainedModel) -> None:
    model, batch = wide(), next(batches(1))
    growth.widen(policy.get_decoder(), model.model)
    size = policy.config.hidden_size
    growth.fresh(model.model, policy.config.num_hidden_layers)
    states, ids = growth.entering(model.model, batch, policy.config.num_hidden_layers)
    expected = growth._read(policy.get_decoder(), batch).flatten(0, 1)[batch.tokens]
    found = policy.get_decoder().norm(states[:, :size])
    assert (found - expected).abs().max() < 0.02 * expected.abs().max()
    # the token itself came through: its code is that of its embedding, whatever the layers did
    code = model.model.embed_tokens.weight[ids, size : size + growth.TOKEN]
    assert torch.equal(states[:, size : size + growth.TOKEN], code)


def test_surprise_is_what_the_policy_finds_unlikely(policy: PreTrainedModel) -> None:
    batch = next(batches(1))
    found = growth.surprises(policy, batch)
    assert found.min() >= 0
    assert found.max() <= growth.CEILING
    place = batch.tokens[0].item()
    length = batch.ids.shape[1]
    row, column = divmod(int(place), length)
    with torch.no_grad():
        ids = batch.ids[row : row + 1, : column + 1]
        logs = torch.log_softmax(policy(ids[:, :-1], attention_mask=_causal(column)).logits, -1)
    assert found[0].item() == pytest.approx(-logs[0, -1, ids[0, -1]].item(), abs=1e-3)


def _causal(length: int) -> torch.Tensor:
    seen = torch.ones(length, length, dtype=torch.bool).tril()
    return torch.full((1, 1, length, length), -1e4).masked_fill(seen, 0.0)


def test_the_first_added_layer_fetches_what_was_expected(policy: PreTrainedModel) -> None:
    model, batch = wide(), next(batches(1))
    size, first = policy.config.hidden_size, policy.config.num_hidden_layers
    growth.widen(policy.get_decoder(), model.model)
    growth.fresh(model.model, first)
    states, ids = growth.entering(model.model, batch, first)
    growth.look_back(model.model, first, size, states, ids)
    after, _ = growth.entering(model.model, batch, first + 1)
    fetched = after[:, size + growth.TOKEN : size + growth.TOKEN + growth.EXPECTED]
    before = growth._read(policy.get_decoder(), batch).flatten(0, 1)[batch.previous]
    directions = growth._directions(model.model.embed_tokens.weight[ids, :size], 32)
    expected = (before @ directions)[:, : growth.EXPECTED]
    pair = torch.stack([fetched.flatten(), expected.flatten()])
    assert torch.corrcoef(pair)[0, 1] > 0.98


def test_grown_layers_tell_what_the_policy_would_not_have_written(
    policy: PreTrainedModel,
) -> None:
    model = wide()
    growth.grow(policy, model, lambda: batches(60))
    held = list(batches(70))[60:]
    first = policy.config.num_hidden_layers
    read, truth = list[torch.Tensor](), list[torch.Tensor]()
    for batch in held:
        states, _ = growth.entering(model.model, batch, first + 1)
        read.append(states[:, -1])
        truth.append(growth.surprises(policy, batch))
    pair = torch.stack([torch.cat(read), torch.cat(truth)])
    assert torch.corrcoef(pair)[0, 1] > 0.5
