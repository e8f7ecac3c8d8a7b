"""New weights in a running engine: what serves, with which stamp, and what becomes of requests."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from reasonbench.builtin import model_path
from reasonbench.engines import EngineConfig, EngineDeadError, EngineError, open_engine
from reasonbench.engines.base import InFlight, LiveEngine
from reasonbench.engines.shared_files import written
from reasonbench.errors import UsageError
from reasonbench.trainers.push import PushReport, for_training, live, push, weights
from reasonbench.trainers.verify import trainer_logprobs
from reasonbench.types import Completion, SamplingParams
from tests.engines.loop import KEY, BackgroundLoop, ask, sample_all
from tests.trainers.pushed import policy, push_next, requests, roll_out


def test_the_pushed_weights_serve_and_are_stamped(
    live_engine: LiveEngine, loop: BackgroundLoop
) -> None:
    push_next(live_engine, loop, policy())
    before, _ = roll_out(live_engine, loop)
    model = policy(seed=1)
    report = push_next(live_engine, loop, model)
    after, samples = roll_out(live_engine, loop)
    assert {c.weight_version for c in before} == {report.version - 1}
    assert {c.weight_version for c in after} == {report.version} == {live_engine.weight_version}
    assert [c.token_ids for c in before] != [c.token_ids for c in after]
    engines = [number for c in after for number in c.token_logprobs or ()]
    assert engines == pytest.approx(trainer_logprobs(model, samples), abs=1e-3)


def test_a_report_says_how_much_was_pushed(live_engine: LiveEngine, loop: BackgroundLoop) -> None:
    model = policy()
    report = push_next(live_engine, loop, model)
    assert report.bytes == 4 * sum(weight.numel() for weight in model.parameters())
    assert report.how in ("shared memory", "in place")
    assert report.restarted == 0
    assert report.seconds >= report.waited


def test_the_same_weights_again_write_the_same(
    live_engine: LiveEngine, loop: BackgroundLoop
) -> None:
    push_next(live_engine, loop, policy(seed=2))
    first, _ = roll_out(live_engine, loop)
    push_next(live_engine, loop, policy(seed=3))
    push_next(live_engine, loop, policy(seed=2))
    again, _ = roll_out(live_engine, loop)
    assert [c.token_ids for c in first] == [c.token_ids for c in again]
    assert [c.token_logprobs for c in first] == [c.token_logprobs for c in again]


def test_nothing_of_the_old_weights_is_read_from_the_prefix_cache(
    live_vllm: LiveEngine, loop: BackgroundLoop
) -> None:
    push_next(live_vllm, loop, policy())
    prompt = ask(live_vllm, "A question longer than a block. What is 12 + 30? " * 4)
    asked = [(prompt, SamplingParams(max_tokens=2))]
    loop.run(sample_all(live_vllm, asked))
    (cached,) = loop.run(sample_all(live_vllm, asked))
    push_next(live_vllm, loop, policy(seed=4))
    (fresh,) = loop.run(sample_all(live_vllm, asked))
    assert cached.usage.cached_tokens > 0
    assert fresh.usage.cached_tokens == 0


def test_a_folder_is_loaded_too(live_engine: LiveEngine, loop: BackgroundLoop) -> None:
    push_next(live_engine, loop, policy())
    expected, _ = roll_out(live_engine, loop)
    push_next(live_engine, loop, policy(seed=5))
    version = live_engine.weight_version + 1
    loop.run(live_engine.load_weights(Path(model_path()), version))
    found, _ = roll_out(live_engine, loop)
    assert [c.token_ids for c in found] == [c.token_ids for c in expected]
    assert {c.weight_version for c in found} == {version}


def test_a_version_has_to_rise(live_engine: LiveEngine, loop: BackgroundLoop) -> None:
    with pytest.raises(ValueError, match="cannot follow"):
        loop.run(push(live_engine, policy(), live_engine.weight_version))


def test_weights_that_are_not_whole_leave_an_engine_that_serves_nothing(
    live_engine: LiveEngine, loop: BackgroundLoop
) -> None:
    part = {n: w for n, w in weights(policy(seed=6)).items() if ".layers.2.mlp." not in n}
    version = live_engine.weight_version
    loop.run(live_engine.sleep())
    with pytest.raises(EngineError, match="not pushed"):
        loop.run(live_engine.load_weights(part, version + 1))
    with pytest.raises(EngineDeadError, match="did not arrive"):
        loop.run(live_engine.sample(ask(live_engine), SamplingParams(max_tokens=1), KEY))
    assert live_engine.weight_version == version
    push_next(live_engine, loop, policy(seed=6))
    roll_out(live_engine, loop)


def test_a_folder_without_weights_changes_nothing(
    live_engine: LiveEngine, loop: BackgroundLoop, tmp_path: Path
) -> None:
    push_next(live_engine, loop, policy())
    version = live_engine.weight_version
    with pytest.raises(EngineError, match="safetensors"):
        loop.run(live_engine.load_weights(tmp_path, version + 1))
    completions, _ = roll_out(live_engine, loop)
    assert {c.weight_version for c in completions} == {version}


async def _during_a_push(
    engine: LiveEngine, in_flight: InFlight
) -> tuple[PushReport, list[Completion], list[Completion]]:
    """Completions that were asked for just before a push and while it waited or worked."""
    early = [asyncio.ensure_future(engine.sample(*r, KEY)) for r in requests(engine, tokens=64)]
    await asyncio.sleep(0)
    version = engine.weight_version + 1
    pushing = asyncio.ensure_future(push(engine, policy(seed=7), version, in_flight=in_flight))
    while engine._gate._opened.is_set():  # type: ignore[attr-defined]  # the push has begun
        await asyncio.sleep(0)
    late = [asyncio.ensure_future(engine.sample(*r, KEY)) for r in requests(engine, tokens=64)]
    return await pushing, await asyncio.gather(*early), await asyncio.gather(*late)


@pytest.mark.parametrize("in_flight", ["wait", "restart"])
def test_requests_in_flight_are_of_one_version(
    live_engine: LiveEngine, loop: BackgroundLoop, in_flight: InFlight
) -> None:
    push_next(live_engine, loop, policy())
    old = loop.run(sample_all(live_engine, requests(live_engine, tokens=64)))
    used = live_engine.aborted.requests
    report, early, late = loop.run(_during_a_push(live_engine, in_flight))
    new = loop.run(sample_all(live_engine, requests(live_engine, tokens=64)))
    expected = old if in_flight == "wait" else new
    assert [c.token_ids for c in early] == [c.token_ids for c in expected]
    assert [c.weight_version for c in early] == [c.weight_version for c in expected]
    assert [c.token_ids for c in late] == [c.token_ids for c in new]
    assert {c.weight_version for c in late} == {report.version}
    assert [c.token_ids for c in old] != [c.token_ids for c in new]
    assert report.restarted == (len(early) if in_flight == "restart" else 0)
    assert live_engine.aborted.requests - used <= report.restarted


def test_a_watched_request_is_waited_for_rather_than_told_its_tokens_twice(
    live_engine: LiveEngine, loop: BackgroundLoop
) -> None:
    push_next(live_engine, loop, policy())
    told: list[int] = []

    def watch(token: int, confidence: float | None) -> bool:
        told.append(token)
        return False

    async def scene() -> tuple[PushReport, Completion]:
        prompt, params = requests(live_engine, tokens=64)[0]
        watched = asyncio.ensure_future(live_engine.sample(prompt, params, KEY, watch))
        await asyncio.sleep(0)
        version = live_engine.weight_version + 1
        report = await push(live_engine, policy(seed=8), version, in_flight="restart")
        return report, await watched

    report, completion = loop.run(scene())
    assert completion.weight_version == report.version - 1
    assert report.restarted == 0
    assert tuple(told) == completion.token_ids[: len(told)]


def test_a_sleeping_engine_makes_requests_wait(
    live_engine: LiveEngine, loop: BackgroundLoop
) -> None:
    push_next(live_engine, loop, policy())

    async def scene() -> Completion:
        assert not await live_engine.sleep()  # a CPU has no memory of a GPU to free
        prompt, params = requests(live_engine)[0]
        waiting = asyncio.ensure_future(live_engine.sample(prompt, params, KEY))
        await asyncio.sleep(0)
        assert not waiting.done()
        await live_engine.wake()
        return await waiting

    assert loop.run(scene()).token_ids


def test_new_weights_wake_a_sleeping_engine(live_engine: LiveEngine, loop: BackgroundLoop) -> None:
    loop.run(live_engine.sleep())
    report = push_next(live_engine, loop, policy())
    completions, _ = roll_out(live_engine, loop)
    assert {c.weight_version for c in completions} == {report.version}


def test_closing_a_sleeping_engine_lets_requests_go(loop: BackgroundLoop) -> None:
    engine = live(loop.run(open_engine(EngineConfig(engine="transformers"))))

    async def scene() -> None:
        await engine.sleep()
        waiting = asyncio.ensure_future(engine.sample(ask(engine), SamplingParams(), KEY))
        await asyncio.sleep(0)
        await engine.aclose()
        with pytest.raises(EngineDeadError, match="closed"):
            await waiting
        with pytest.raises(EngineDeadError, match="closed"):
            await engine.held()

    loop.run(scene())


def test_recorded_completions_take_no_weights(loop: BackgroundLoop, tmp_path: Path) -> None:
    file = tmp_path / "recorded.jsonl"
    file.write_text('{"problem_id": "1", "text": "42"}\n')
    engine = loop.run(open_engine(EngineConfig(engine="replay", model=str(file))))
    with pytest.raises(UsageError, match="'replay' cannot take new weights"):
        live(engine)


def test_the_file_of_a_push_is_gone_behind_it() -> None:
    tensors = weights(policy())
    with written(tensors, next(iter(tensors.values())).dtype) as file:
        assert file.path.is_file()
    assert not file.path.exists()


def test_without_a_gpu_an_engine_is_opened_as_it_was_asked_for() -> None:
    config = EngineConfig(engine="vllm", dtype="float32")
    import torch

    if torch.cuda.is_available():
        assert for_training(config).engine_args["enable_sleep_mode"]
    else:
        assert for_training(config) == config
