"""Verification lets the trainer's weights pass, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from reasonbench.engines.base import Held, LiveEngine
from reasonbench.trainers.push import weights
from reasonbench.trainers.verify import (
    TOLERANCES,
    Expected,
    Sample,
    StaleEngineError,
    Tolerance,
    compare,
    default_tolerance,
    expected,
    score,
    trainer_logprobs,
    verify,
)
from tests.engines.loop import BackgroundLoop
from tests.trainers.pushed import policy, push_next, roll_out

BLIND = Tolerance(1e9, 1e9)
"""Lets every log-probability pass, so that only the fingerprints can tell."""


def _push_and_roll_out(
    engine: LiveEngine, loop: BackgroundLoop, model: Any
) -> tuple[int, Sequence[Sample]]:
    version = push_next(engine, loop, model).version
    return version, roll_out(engine, loop)[1]


def _by_logprobs_alone(
    engine: LiveEngine, loop: BackgroundLoop, model: Any, samples: Sequence[Sample]
) -> None:
    own = Expected({}, trainer_logprobs(model, samples))
    version = engine.weight_version
    compare(
        own,
        loop.run(score(engine, samples)),
        Held((version,), {}),
        TOLERANCES["float32"],
        version=version,
        stamped=version,
        started=0.0,
    )


def test_what_was_pushed_passes(live_engine: LiveEngine, loop: BackgroundLoop) -> None:
    model = policy(seed=1)
    version, samples = _push_and_roll_out(live_engine, loop, model)
    found = loop.run(verify(live_engine, model, samples, version=version))
    assert found.version == version
    assert found.tokens == sum(len(completion) for _, completion in samples)
    # every weight is compared, and the tied output layer by itself
    assert found.exact == found.weights == len(list(model.named_parameters())) + 1
    assert found.mean <= TOLERANCES["float32"].mean


def test_the_model_is_left_as_it_was(live_transformers: LiveEngine, loop: BackgroundLoop) -> None:
    model = policy(seed=1).train()
    _, samples = _push_and_roll_out(live_transformers, loop, model)
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    loop.run(verify(live_transformers, model, samples))
    assert model.training
    assert all(weight.grad is None for weight in model.parameters())
    assert all(torch.equal(before[name], weight) for name, weight in model.named_parameters())


def test_a_push_that_was_left_out_is_caught(live_engine: LiveEngine, loop: BackgroundLoop) -> None:
    model = policy(seed=1)
    _, samples = _push_and_roll_out(live_engine, loop, model)
    with pytest.raises(StaleEngineError, match="weights that the engine computes with"):
        loop.run(verify(live_engine, policy(seed=2), samples))
    with pytest.raises(StaleEngineError, match="nats a token apart"):
        _by_logprobs_alone(live_engine, loop, policy(seed=2), samples)


def test_a_tiny_update_that_did_not_arrive_is_caught(
    live_engine: LiveEngine, loop: BackgroundLoop
) -> None:
    """One step of AdamW at a rate of 1e-8: too little for any log-probability to tell."""
    model = policy(seed=1)
    _, samples = _push_and_roll_out(live_engine, loop, model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-8)
    ids = torch.tensor([[*samples[0][0], *samples[0][1]]])
    model(input_ids=ids, labels=ids).loss.backward()
    optimizer.step()
    _by_logprobs_alone(live_engine, loop, model, samples)
    with pytest.raises(StaleEngineError, match="did not arrive whole"):
        loop.run(verify(live_engine, model, samples, BLIND))
    push_next(live_engine, loop, model)
    loop.run(verify(live_engine, model, samples))


@pytest.mark.parametrize(
    "name",
    [
        "model.embed_tokens.weight",
        "model.layers.1.self_attn.k_proj.weight",
        "model.layers.1.self_attn.q_norm.weight",
        "model.layers.3.mlp.up_proj.weight",
        "model.layers.3.mlp.down_proj.weight",
        "model.norm.weight",
    ],
)
def test_one_number_of_one_weight_is_enough(
    live_engine: LiveEngine, loop: BackgroundLoop, name: str
) -> None:
    model = policy()
    push_next(live_engine, loop, model)
    weight = model.get_parameter(name).data.view(-1)
    weight[-1] = torch.nextafter(weight[-1], torch.tensor(9.0))
    with pytest.raises(StaleEngineError, match=name.replace(".", r"\.")):
        loop.run(verify(live_engine, model, ()))


def test_another_version_is_caught(live_engine: LiveEngine, loop: BackgroundLoop) -> None:
    model = policy(seed=1)
    version, samples = _push_and_roll_out(live_engine, loop, model)
    with pytest.raises(StaleEngineError, match=f"not at version {version + 1} .* {version} and"):
        loop.run(verify(live_engine, model, samples, version=version + 1))


def test_a_worker_at_another_version_is_caught() -> None:
    own = Expected({}, ())
    with pytest.raises(StaleEngineError, match="stamps version 3 and its workers hold 3, 2"):
        compare(own, (), Held((3, 2), {}), BLIND, version=3, stamped=3, started=0.0)


def test_a_gap_that_is_no_number_is_caught() -> None:
    own = Expected({}, (-1.0, -2.0))
    with pytest.raises(StaleEngineError, match="nan"):
        compare(own, (-1.0, float("nan")), Held((1,), {}), BLIND, version=1, stamped=1, started=0.0)


def test_vllms_own_reload_leaves_a_tied_output_layer_behind(
    live_vllm: LiveEngine, loop: BackgroundLoop, tmp_path: Path
) -> None:
    push_next(live_vllm, loop, policy())
    model = policy(seed=3)
    model.save_pretrained(tmp_path)
    _reload(live_vllm, loop, tmp_path)
    samples = roll_out(live_vllm, loop)[1]
    with pytest.raises(StaleEngineError, match=r"^1 of 47 weights .* \(lm_head\.weight\)"):
        loop.run(verify(live_vllm, model, samples, BLIND))
    with pytest.raises(StaleEngineError, match="nats a token apart"):
        _by_logprobs_alone(live_vllm, loop, model, samples)
    push_next(live_vllm, loop, model)
    loop.run(verify(live_vllm, model, samples))


def test_a_layer_that_was_not_loaded_is_caught(
    live_vllm: LiveEngine, loop: BackgroundLoop, tmp_path: Path
) -> None:
    """vLLM's own reload only warns of it, in its log."""
    push_next(live_vllm, loop, policy())
    model = policy(seed=3)
    stored = {n: w.contiguous() for n, w in weights(model).items() if ".layers.2.mlp." not in n}
    save_file(stored, tmp_path / "model.safetensors")
    _reload(live_vllm, loop, tmp_path)
    samples = roll_out(live_vllm, loop)[1]
    with pytest.raises(StaleEngineError, match=r"layers\.2\.mlp"):
        loop.run(verify(live_vllm, model, samples, BLIND))
    with pytest.raises(StaleEngineError, match="nats a token apart"):
        _by_logprobs_alone(live_vllm, loop, model, samples)


def _reload(engine: LiveEngine, loop: BackgroundLoop, folder: Path) -> None:
    """vLLM's own way to load a folder's weights, past the engine's push."""
    llm = engine.llm  # type: ignore[attr-defined]
    loop.run(llm.collective_rpc("reload_weights", kwargs={"weights_path": str(folder)}))
    loop.run(llm.reset_prefix_cache())


def test_logprobs_of_the_trainer_are_those_of_its_logits() -> None:
    model = policy(seed=4)
    samples = [((5, 6, 7), (8, 9)), ((5,), (11, 12, 13, 14))]
    found = trainer_logprobs(model, samples)
    by_hand = []
    for prompt, completion in samples:
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([[*prompt, *completion]])).logits[0]
        rows = logits.log_softmax(-1)[len(prompt) - 1 :]
        by_hand += [rows[place, token].item() for place, token in enumerate(completion)]
    assert found == pytest.approx(by_hand, abs=1e-5)


def test_what_the_trainer_expects_is_rounded_as_the_engine_does() -> None:
    model = policy(seed=4)
    fine, coarse = expected(model, (), "float32"), expected(model, (), "bfloat16")
    rounded = expected(model.bfloat16().float(), (), "bfloat16")
    assert fine.fingerprints != coarse.fingerprints == rounded.fingerprints


def test_the_coarsest_number_format_sets_the_tolerance() -> None:
    assert default_tolerance("float32", "float32") == TOLERANCES["float32"]
    assert default_tolerance("float32", "bfloat16") == TOLERANCES["bfloat16"]
    assert default_tolerance("float16", "float32") == TOLERANCES["float16"]
