"""Shards of a run with a real model, a real reward and a search become the run of the whole."""

from __future__ import annotations

import asyncio
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from reasonbench.config import make
from reasonbench.engines import EngineConfig, open_engine
from reasonbench.evaluate import evaluate
from reasonbench.merging import merge
from reasonbench.rewards import RewardConfig, open_reward
from reasonbench.runs import RunStore
from tests.evaluation.toy import Silent

CACHED = ("seconds", "cached_tokens")
"""What two equal runs may differ in: the clock, and what an engine happened to hold."""


def rows(folder: Path) -> list[dict[str, Any]]:
    found = json.loads((folder / "results.json").read_text())
    assert found["run"]["complete"]
    return [{k: v for k, v in row.items() if k not in CACHED} for row in found["rows"]]


def tree(trace: Any) -> list[tuple[object, ...]] | None:
    """A search without its scores, whose last bits depend on what is scored beside them."""
    nodes = None if trace is None else trace["nodes"]
    return nodes and [(n["path"], n.get("end"), n.get("dropped"), n.get("tokens")) for n in nodes]


async def evaluated(folder: Path, engine_name: str) -> None:
    """The whole and two shards of it, through one engine."""
    # one engine of vLLM is enough to start
    reward = await open_reward(RewardConfig(model="builtin-prm", engine="transformers"))
    engine = await open_engine(EngineConfig(engine=engine_name))
    settings = {
        "benchmark": ["builtin-arithmetic"],
        "strategy": ["wbon@4", "asc@4:temperature=0.5", "beam@4"],
        "engine": engine_name,
        "reward": "builtin-prm",
        "limit": 4,
    }
    try:
        for out, more in (("whole", {}), ("s1", {"shard": "1/2"}), ("s2", {"shard": "2/2"})):
            config = make(settings | more)
            await evaluate(config, folder / out, Silent(), engine=engine, reward=reward)
    finally:
        await reward.aclose()
        await engine.aclose()
    await merge([folder / "s1", folder / "s2"], folder / "merged")


@pytest.mark.parametrize("engine", ["transformers", "vllm"])
def test_merged_shards_equal_the_run_of_the_whole(tmp_path: Path, engine: str) -> None:
    if find_spec(engine) is None:
        pytest.skip(f"{engine} is not installed")
    asyncio.run(evaluated(tmp_path, engine))
    whole, merged = tmp_path / "whole", tmp_path / "merged"
    assert rows(merged) == rows(whole)
    with RunStore.open(whole) as one, RunStore.open(merged) as other:
        assert one.pools() == other.pools()
        assert one.series() == other.series()
        for series in one.series():
            assert [(k, c.token_ids) for k, c in one.completions(*series)] == [
                (k, c.token_ids) for k, c in other.completions(*series)
            ]
            for problem in one.problems(series.benchmark):
                at = (series.benchmark, problem.id, series.pool)
                assert one.nodes(*at).keys() == other.nodes(*at).keys()
                assert tree(one.trace(*at)) == tree(other.trace(*at))
