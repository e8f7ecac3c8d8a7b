"""A real vLLM server of the built-in model, against vLLM in this process."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reasonbench.config import EvalConfig
from reasonbench.engines import Engine, EngineConfig, open_engine
from reasonbench.engines.openai import OpenaiEngine
from reasonbench.evaluate import evaluate
from reasonbench.results import COSTS
from reasonbench.types import Completion, Prompt, SamplingParams
from tests.engines.faulty_server import FaultyServer
from tests.engines.loop import KEY, BackgroundLoop, ask, sample_all
from tests.engines.vllm_server import STRATEGIES, vllm_server
from tests.evaluation.logged_eval import Silent


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`vllm serve` of the built-in model."""
    pytest.importorskip("vllm")
    with vllm_server(tmp_path_factory.mktemp("served") / "log") as served:
        yield served


@pytest.fixture(scope="module")
def served(url: str, loop: BackgroundLoop) -> Iterator[Engine]:
    engine = loop.run(open_engine(EngineConfig(model="openai:tiny", base_url=(url,))))
    yield engine
    loop.run(engine.aclose())


@pytest.fixture(scope="module")
def faulty(url: str, loop: BackgroundLoop) -> Iterator[tuple[Engine, FaultyServer]]:
    proxy = FaultyServer(url)
    engine = loop.run(open_engine(EngineConfig(model="openai:tiny", base_url=(proxy.url,))))
    yield engine, proxy
    loop.run(engine.aclose())
    proxy.close()


def _requests(engine: Engine) -> list[tuple[Prompt, SamplingParams]]:
    """Seeded and greedy, with and without stop strings, patterns and scores."""
    kinds: list[dict[str, Any]] = [
        {},
        {"temperature": 0.0},
        {"temperature": 0.8, "top_p": 0.9, "top_k": 20},
        {"stop": ("\n\n", "."), "whole_tokens": True},
        {"stop": (".",)},
        {"stop_pattern": "[0-9]+ "},
        {"top_logprobs": 20},
    ]
    return [
        (
            ask(engine, f"What is {i} + {i // 2}?"),
            SamplingParams(max_tokens=64, seed=(i << 40) + i, **kinds[i % len(kinds)]),
        )
        for i in range(56)
    ]


def _written(completions: list[Completion]) -> list[Any]:
    return [(c.token_ids, c.text, c.finish, c.stop_reason) for c in completions]


def _scores(completions: list[Completion]) -> list[float]:
    return [
        score
        for c in completions
        for score in (*(c.token_logprobs or ()), *(c.token_confidences or ()))
    ]


def test_completions_are_those_of_vllm_here(
    served: Engine, vllm_engine: Engine, loop: BackgroundLoop
) -> None:
    there = loop.run(sample_all(served, _requests(served)))
    here = loop.run(sample_all(vllm_engine, _requests(vllm_engine)))
    assert _written(there) == _written(here)
    assert _scores(there) == pytest.approx(_scores(here), abs=1e-5)
    assert [c.usage.decode_tokens for c in there if c.stop_reason is None] == [
        c.usage.decode_tokens for c in here if c.stop_reason is None
    ]


def test_greedy_text_is_what_the_openai_client_gets(
    url: str, served: Engine, loop: BackgroundLoop
) -> None:
    openai = pytest.importorskip("openai")
    prompt = ask(served)
    ours = loop.run(served.sample(prompt, SamplingParams(temperature=0, max_tokens=64), KEY))
    client = openai.OpenAI(base_url=url, api_key="none")
    theirs = client.completions.create(
        model="tiny", prompt=list(prompt.token_ids), temperature=0, max_tokens=64
    )
    assert ours.text == theirs.choices[0].text


def test_a_cancelled_request_is_aborted_in_the_server(
    url: str, served: Engine, loop: BackgroundLoop
) -> None:
    root = url.removesuffix("/v1")

    def running() -> float:
        with urllib.request.urlopen(f"{root}/metrics", timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        return sum(
            float(line.split()[-1])
            for line in lines
            if line.startswith("vllm:num_requests_running{")
        )

    async def cancel() -> None:
        params = SamplingParams(max_tokens=4000, temperature=2.0, min_p=0.0, seed=3)
        waiting = [asyncio.ensure_future(served.sample(ask(served), params, KEY)) for _ in range(8)]
        await asyncio.sleep(0)
        while not await asyncio.to_thread(running) and not all(w.done() for w in waiting):
            await asyncio.sleep(0.05)
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        while await asyncio.to_thread(running):
            await asyncio.sleep(0.05)

    loop.run(asyncio.wait_for(cancel(), 120))


def _numbers(value: Any) -> Any:
    """What `approx` takes: of anything but numbers and flat lists of them its text."""
    flat = value if isinstance(value, list) else [value]
    return value if all(isinstance(v, int | float) for v in flat) else json.dumps(value)


def _evaluated(loop: BackgroundLoop, engine: Engine, folder: Path) -> tuple[Any, Any]:
    """The rows without costs, and every completion and node of a run."""
    config = EvalConfig(
        benchmark=["builtin-arithmetic"],
        limit=10,
        strategy=STRATEGIES,
        reward="builtin-orm",
        reward_engine="transformers",
    )
    done = loop.run(evaluate(config, folder, Silent(), engine=engine))
    assert done.outcome.complete
    assert not done.outcome.failed
    rows = [{k: v for k, v in r.items() if k not in COSTS} for r in done.results["rows"]]
    with sqlite3.connect(folder / "run.db") as database:
        key = "benchmark, problem_id, pool"
        flat = f"SELECT {key}, sample, finish, text, token_ids FROM completions"
        tree = f"SELECT {key}, path, finish, text, token_ids FROM nodes"
        return rows, sorted(database.execute(flat)) + sorted(database.execute(tree))


@pytest.fixture(scope="module")
def here(
    vllm_engine: Engine, loop: BackgroundLoop, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, Any]:
    return _evaluated(loop, vllm_engine, tmp_path_factory.mktemp("runs") / "here")


def test_every_strategy_has_the_table_of_vllm_here(
    served: Engine, here: tuple[Any, Any], loop: BackgroundLoop, tmp_path: Path
) -> None:
    assert isinstance(served, OpenaiEngine)
    there = _evaluated(loop, served, tmp_path / "there")
    assert there[1] == here[1]
    assert len(there[0]) == len(here[0])
    for row, own in zip(there[0], here[0], strict=True):
        assert row.keys() == own.keys()
        for name in own:
            assert _numbers(row[name]) == pytest.approx(_numbers(own[name]), abs=1e-6), name


def test_a_faulty_server_changes_no_table(
    faulty: tuple[Engine, FaultyServer],
    here: tuple[Any, Any],
    loop: BackgroundLoop,
    tmp_path: Path,
) -> None:
    engine, proxy = faulty
    there = _evaluated(loop, engine, tmp_path / "faulty")
    assert proxy.spoiled.total() > 100
    assert there[1] == here[1]
    assert len(there[0]) == len(here[0])
    for row, own in zip(there[0], here[0], strict=True):
        assert row.keys() == own.keys()
        for name in own:
            assert _numbers(row[name]) == pytest.approx(_numbers(own[name]), abs=1e-6), name
