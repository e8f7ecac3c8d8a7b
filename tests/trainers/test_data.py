"""Records to tokens, tokens to batches."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reasonbench.builtin.tokenizer import build_tokenizer
from reasonbench.errors import UsageError
from reasonbench.trainers.attention import short_attention
from reasonbench.trainers.batching import BatchPlan, Position, cut
from reasonbench.trainers.completion_loss import completion_loss, pad
from reasonbench.trainers.data import Encoded, Encoder, read_jsonl
from reasonbench.trainers.start import load_model
from tests.trainers.tiny import config, records


@functools.cache
def tokenizer() -> Any:
    return build_tokenizer()


def trained_text(record: dict[str, Any]) -> list[str]:
    """The runs of text that a record trains on."""
    return [s.text for s in Encoder(tokenizer()).spans(record) if s.trained]


def test_only_the_completion_and_its_end_are_trained() -> None:
    record = {"prompt": [{"role": "user", "content": "3+4"}], "completion": "\\boxed{7}"}
    encoded = Encoder(tokenizer())(record)
    text = tokenizer().decode([i for i, t in zip(*encoded, strict=True) if t])
    assert text == "\\boxed{7}<|im_end|>"
    assert tokenizer().decode(encoded.ids) == (
        "<|im_start|>user\n3+4<|im_end|>\n<|im_start|>assistant\n\\boxed{7}<|im_end|>"
    )


def test_every_assistant_turn_of_a_conversation_is_trained() -> None:
    turns = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
        {"role": "assistant", "content": "d"},
    ]
    assert trained_text({"messages": turns}) == ["b<|im_end|>", "d<|im_end|>"]
    whole = "".join(s.text for s in Encoder(tokenizer()).spans({"messages": turns}))
    rendered = tokenizer().apply_chat_template(turns, tokenize=False)
    assert whole == rendered.removesuffix("\n")


def test_a_text_prompt_is_taken_as_it_is() -> None:
    record = {"prompt": "Q: 1\nA:", "completion": "2"}
    encoded = Encoder(tokenizer())(record)
    assert tokenizer().decode(encoded.ids) == "Q: 1\nA:2<|im_end|>"


def test_thinking_is_opened_in_the_prompt() -> None:
    prompt = [{"role": "user", "content": "a"}]
    record = {"prompt": prompt, "completion": "b</think>", "enable_thinking": True}
    spans = Encoder(tokenizer()).spans(record)
    assert spans[0].text.endswith("<think>\n")


@pytest.mark.parametrize("record", [{}, {"prompt": "a"}, {"prompt": "a", "completion": 3}])
def test_other_records_are_refused(record: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="a training record needs"):
        Encoder(tokenizer())(record)


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text(json.dumps({"prompt": "a", "completion": "b"}) + "\n\n{oops\n")
    with pytest.raises(UsageError, match="line 3"):
        list(read_jsonl(path))


def test_what_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_bytes(b'{"prompt": "a", "completion": "b"}\n{"prompt": "caf\xe9"}\n')
    with pytest.raises(UsageError, match="line 2: not UTF-8 text"):
        list(read_jsonl(path))


def test_a_line_separator_inside_a_text_ends_no_record(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text(json.dumps({"text": "a\u2028b\x85c"}, ensure_ascii=False) + "\n", "utf-8")
    assert list(read_jsonl(path)) == [{"text": "a\u2028b\x85c"}]


def test_a_file_without_a_byte_has_no_records(tmp_path: Path) -> None:
    (tmp_path / "rejects.jsonl").touch()
    assert list(read_jsonl(tmp_path / "rejects.jsonl")) == []


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(2, 60), min_size=1), st.integers(40, 200), st.sampled_from([1, 8, 32]))
def test_batches_hold_every_example_once_within_the_budget(
    lengths: list[int], budget: int, multiple: int
) -> None:
    examples = [Encoded([0] * n, [True] * n) for n in sorted(lengths)]
    batches = cut(examples, budget, multiple)
    assert [e for b in batches for e in b] == examples
    for batch in batches:
        padded = pad(batch, 0, "cpu", multiple).ids
        assert padded.shape[1] % multiple == 0
        assert padded.numel() <= budget or len(batch) == 1


@pytest.mark.parametrize("skip", [0, 3, 7, 11, 16])
def test_batches_go_on_from_any_position(skip: int) -> None:
    plan = BatchPlan(records, Encoder(tokenizer()), 128, 32, 64, seed=1)
    whole = list(plan.batches(Position(0, 0)))
    skip %= len(whole) - 1
    rest = list(plan.batches(whole[skip][1]))
    assert rest == whole[skip + 1 :]


def test_the_divisor_is_the_mean_number_of_trained_tokens_a_batch() -> None:
    plan = BatchPlan(records, Encoder(tokenizer()), 128, 96, 64, seed=1)
    batches = [b for b, _ in plan.batches(Position(0, 0))]
    # every answer is one digit and the end of the turn
    assert plan.tokens_per_batch() == pytest.approx(96 * 2 / len(batches))


def test_the_loss_is_that_of_the_trained_tokens_whatever_the_padding() -> None:
    torch.manual_seed(0)
    model = load_model(config(), tokenizer())
    encode = Encoder(tokenizer())
    batch = [encode(r) for r in [*records()[:3], {"prompt": "a", "completion": "b c d e f"}]]
    expected = 0.0
    for example in batch:
        ids = torch.tensor([example.ids])
        with torch.no_grad():
            logp = model(input_ids=ids).logits[0].log_softmax(-1)
        for place, trained in enumerate(example.trained):
            if trained:
                expected -= float(logp[place - 1, example.ids[place]])
    for multiple in (1, 32):
        with torch.no_grad():
            loss = completion_loss(model, pad(batch, 0, "cpu", multiple))
        assert float(loss) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("heads", "shared"), [(4, 2), (2, 2), (4, 1)])
def test_short_attention_is_causal_attention(heads: int, shared: int) -> None:
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(2, heads, 9, 8, generator=generator)
    key, value = (torch.randn(2, shared, 9, 8, generator=generator) for _ in range(2))
    expected = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, is_causal=True, enable_gqa=True
    ).transpose(1, 2)
    ours, _ = short_attention(torch.nn.Module(), query, key, value, None)
    torch.testing.assert_close(ours, expected)
