"""The ray engine: what it asks of a cluster, and two replicas of the built-in model on one."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonbench.config import EvalConfig, make
from reasonbench.engines import Engine, EngineConfig, describe, open_engine
from reasonbench.engines.ray_cluster import Share, connect, share
from reasonbench.engines.ray_host import own_cores
from reasonbench.errors import UsageError
from reasonbench.evaluate import evaluate
from reasonbench.results import COSTS
from reasonbench.rewards import RewardConfig, open_reward
from reasonbench.rewards.base import Reward
from reasonbench.types import Completion, Problem, Verdict
from tests.engines.loop import BackgroundLoop

needs_ray = pytest.mark.skipif(
    find_spec("ray") is None or find_spec("vllm") is None,
    reason="ray or vllm is not installed (pip install 'reasonbench[ray,vllm]')",
)

SMALL = {"kv_cache_memory_bytes": 256 << 20}
"""Little memory for each of four vLLMs."""

CONFIG = EvalConfig(
    benchmark=["builtin-arithmetic"],
    limit=6,
    strategy=["cot@4", "maj@4", "wbon@4", "bon@4:scorer=reward", "beam@4", "conf@6:window=4"],
    reward="builtin-prm",
)


@given(
    nodes=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=5),
    replicas=st.integers(1, 12),
    gpus=st.integers(1, 4),
)
def test_a_share_fits_so_often_on_the_nodes_or_is_refused(
    nodes: list[tuple[int, int]], replicas: int, gpus: int
) -> None:
    cluster = [{"GPU": float(gpu), "CPU": float(cpu)} for gpu, cpu in nodes]
    on_gpus = any(gpu for gpu, _ in nodes)

    def room(cpus: int) -> int:
        if on_gpus:
            return sum(min(gpu // gpus, cpu) for gpu, cpu in nodes)
        return sum(cpu // cpus for _, cpu in nodes)

    if room(1) < replicas:
        with pytest.raises(UsageError, match="need"):
            share(cluster, replicas, gpus)
        return
    one = share(cluster, replicas, gpus)
    assert room(one.cpus) >= replicas
    assert one == Share(gpus, 1) if on_gpus else room(one.cpus + 1) < replicas


def test_what_a_cluster_lacks_is_said() -> None:
    nodes = [{"GPU": 4.0, "CPU": 32.0}, {"GPU": 4.0, "CPU": 32.0}]
    assert share(nodes, 2, 4) == Share(4, 1)
    with pytest.raises(UsageError, match=r"1 replicas of 8 GPUs need 8 GPUs.*8 \(4 \+ 4\) GPUs"):
        share(nodes, 1, 8)
    with pytest.raises(UsageError, match=r"3 replicas need a core each, and the cluster has 2"):
        share([{"CPU": 2.0}], 3, 1)


@given(cores=st.integers(1, 64), count=st.integers(1, 64))
def test_replicas_of_one_machine_have_cores_of_their_own(cores: int, count: int) -> None:
    machine = list(range(cores))
    parts = [own_cores(machine, rank, count) for rank in range(count)]
    if cores < count:
        assert all(part == machine for part in parts)
    else:
        assert [core for part in parts for core in part] == machine
        assert all(parts)


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("127.0.0.1:1", "cannot be reached"),
        ("ray://127.0.0.1:10001", "HOST:PORT"),
        ("nowhere", "should look like HOST:PORT"),
        ("local", "leave --ray out"),
    ],
)
def test_a_cluster_that_cannot_be_joined_is_refused_at_once(address: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        connect(address)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"ray": "auto"}, "no meaning without --replicas"),
        ({"engine": "ray"}, "needs --replicas"),
        ({"replicas": 2, "engine": "transformers"}, "replicas run vLLM"),
        ({"replicas": 2, "model": "openai:x", "base_url": "http://h/v1"}, "has no meaning for"),
    ],
)
def test_replicas_of_what_cannot_be_replicated_are_refused(given: Any, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        make(given)


def test_replicas_may_change_between_a_run_and_its_resumption() -> None:
    from reasonbench.config import VOLATILE

    assert {"replicas", "ray"} <= VOLATILE
    assert describe()["ray"][0] == "replicas of vLLM on a Ray cluster"


@needs_ray
def test_gpus_of_a_replica_are_those_of_its_vllm() -> None:
    from reasonbench.engines.ray import engine_config, gpus_of

    config = EngineConfig(
        replicas=2, engine_args={"tensor_parallel_size": 4, "pipeline_parallel_size": 2}
    )
    assert gpus_of(config) == 8
    assert engine_config(config).engine_args["distributed_executor_backend"] == "mp"
    assert "distributed_executor_backend" not in engine_config(EngineConfig(replicas=2)).engine_args
    with pytest.raises(UsageError, match="tensor_parallel_size should be a number"):
        gpus_of(EngineConfig(engine_args={"tensor_parallel_size": "two"}))


class Running(NamedTuple):
    """Two replicas with policy and reward."""

    engine: Any
    reward: Reward

    def pids(self) -> list[int]:
        replicas = self.engine.replicas._replicas
        return [replica.connection._link.who.pid for replica in replicas if replica.connection]


class Killer:
    """An observer that kills the process of a replica after so many completions."""

    def __init__(self, after: int, pid: int | None = None) -> None:
        self.left = after
        self.pid = pid

    def starting(self, model: str) -> None: ...

    def begin(self, total: int, done: int) -> None: ...

    def spare(self, count: int) -> None: ...

    def advance(self, problem: Problem, completion: Completion | None, verdict: Verdict) -> None:
        self.left -= 1
        if self.left == 0 and self.pid is not None:
            os.kill(self.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def reference(
    loop: BackgroundLoop, vllm_engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The run of one plain vLLM."""
    folder = tmp_path_factory.mktemp("one") / "run"

    async def make_run() -> None:
        reward = await open_reward(RewardConfig(model="builtin-prm", engine_args=SMALL))
        try:
            await evaluate(CONFIG, folder, Killer(0), engine=vllm_engine, reward=reward)
        finally:
            await reward.aclose()

    loop.run(make_run())
    return folder


@pytest.fixture(scope="module")
def running(loop: BackgroundLoop) -> Iterator[Running]:
    config = EngineConfig(replicas=2, engine_args=SMALL)
    engine: Any = loop.run(open_engine(config))
    judge = RewardConfig(model="builtin-prm", replicas=2, engine_args=SMALL)
    reward = loop.run(open_reward(judge, engine))
    yield Running(engine, reward)
    loop.run(reward.aclose())
    loop.run(engine.aclose())


def table(folder: Path) -> list[dict[str, Any]]:
    import json

    rows = json.loads((folder / "results.json").read_text())["rows"]
    return [{k: v for k, v in row.items() if k not in COSTS} for row in rows]


def written(folder: Path) -> list[tuple[Any, ...]]:
    """Every completion, node and score, without what it cost."""
    with sqlite3.connect(folder / "run.db") as database:
        key = "benchmark, problem_id, pool"
        flat = f"SELECT {key}, sample, finish, text, token_ids FROM completions"
        tree = f"SELECT {key}, path, finish, text, token_ids FROM nodes"
        judged = "SELECT benchmark, problem_id, pool, sample, verdict, answer FROM verdicts"
        return [*sorted(database.execute(flat)), *sorted(database.execute(tree)),
                *sorted(database.execute(judged), key=repr)]  # fmt: skip


@needs_ray
@pytest.mark.timeout(1800)
def test_two_replicas_make_the_run_of_one(
    loop: BackgroundLoop, running: Running, reference: Path, tmp_path: Path
) -> None:
    done = loop.run(
        evaluate(CONFIG, tmp_path / "two", Killer(0), engine=running.engine, reward=running.reward)
    )
    assert done.results["run"]["complete"]
    assert table(tmp_path / "two") == table(reference)
    assert written(tmp_path / "two") == written(reference)
    assert running.engine.info.engine == "vllm"
    assert set(running.engine.replicas.routers) == {"engine", "reward"}
    assert done.notice is None


@needs_ray
@pytest.mark.timeout(1800)
def test_a_replica_that_is_killed_costs_nothing_but_time(
    loop: BackgroundLoop, running: Running, reference: Path, tmp_path: Path
) -> None:
    victim = running.pids()[0]
    done = loop.run(
        evaluate(
            CONFIG,
            tmp_path / "killed",
            Killer(5, victim),
            engine=running.engine,
            reward=running.reward,
        )
    )
    assert done.results["run"]["complete"]
    assert table(tmp_path / "killed") == table(reference)
    assert written(tmp_path / "killed") == written(reference)
    assert running.engine.replicas.losses.lost == 1
    assert "1 replica was lost" in str(done.notice)
    loop.run(running.engine.replicas._settled())
    assert running.engine.replicas.losses.restarted == 1
    assert victim not in running.pids()
    assert len(running.pids()) == 2
