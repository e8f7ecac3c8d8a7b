"""Log-probabilities of tokens that are given."""

from __future__ import annotations

import asyncio

import pytest

from reasonbench.engines import Engine, EngineError
from reasonbench.engines.base import LiveEngine
from reasonbench.trainers.push import live
from reasonbench.types import Completion, Prompt, SamplingParams
from tests.engines.loop import KEY, BackgroundLoop, ask, sample_all

TEXT = "A question that is longer than a block of the prefix cache. What is {a} times {b}? "


@pytest.fixture(params=["vllm", "transformers"])
def engine(request: pytest.FixtureRequest) -> LiveEngine:
    found: Engine = request.getfixturevalue(f"{request.param}_engine")
    return live(found)


def _written(engine: LiveEngine, loop: BackgroundLoop) -> list[tuple[Prompt, Completion]]:
    prompts = [ask(engine, TEXT.format(a=a, b=a + 1) * 2) for a in range(3, 11)]
    params = [SamplingParams(max_tokens=40, seed=seed) for seed in range(len(prompts))]
    asked = list(zip(prompts, params, strict=True))
    return list(zip(prompts, loop.run(sample_all(engine, asked)), strict=True))


async def _scores(
    engine: LiveEngine, written: list[tuple[Prompt, Completion]]
) -> list[tuple[float, ...]]:
    found = (engine.logprobs(prompt.token_ids, c.token_ids) for prompt, c in written)
    return list(await asyncio.gather(*found))


def test_they_are_those_the_tokens_were_sampled_with(
    engine: LiveEngine, loop: BackgroundLoop
) -> None:
    written = _written(engine, loop)
    for (_, completion), found in zip(written, loop.run(_scores(engine, written)), strict=True):
        assert len(found) == len(completion.token_ids)
        # bfloat16 rounds otherwise where it reads tokens together
        assert found == pytest.approx(completion.token_logprobs, abs=0.3)
        assert sum(found) / len(found) == pytest.approx(completion.mean_logprob, abs=0.05)


def test_the_prefix_cache_and_neighbours_change_nothing(
    engine: LiveEngine, loop: BackgroundLoop
) -> None:
    written = _written(engine, loop)  # their prompts are cached now

    async def among_others() -> list[tuple[float, ...]]:
        everything = SamplingParams(max_tokens=20, self_certainty=True, top_logprobs=5)
        others = [engine.sample(prompt, everything, KEY) for prompt, _ in written]
        scores, *_ = await asyncio.gather(_scores(engine, written), *others)
        return scores

    alone = [loop.run(_scores(engine, [one]))[0] for one in written]
    for found, expected in zip(loop.run(among_others()), alone, strict=True):
        assert found == pytest.approx(expected, abs=0.3)


def test_nothing_written_has_none(engine: LiveEngine, loop: BackgroundLoop) -> None:
    assert loop.run(engine.logprobs(ask(engine).token_ids, ())) == ()


def test_tokens_without_a_prompt_or_beyond_the_limit_are_refused(
    engine: LiveEngine, loop: BackgroundLoop
) -> None:
    with pytest.raises(EngineError, match="prompt"):
        loop.run(engine.logprobs((), (5, 6)))
    with pytest.raises(EngineError):
        loop.run(engine.logprobs((5,), (6,) * engine.max_model_len()))
