"""Models that judge: process and outcome rewards. Importing this loads no backend."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Any

from reasonbench.engines import SERVED
from reasonbench.engines.base import Engine
from reasonbench.errors import UsageError, unknown
from reasonbench.rewards.adapters import KINDS, make
from reasonbench.rewards.backend import Backend
from reasonbench.rewards.base import (
    Aggregate,
    Reward,
    RewardError,
    RewardInfo,
    Scored,
    aggregate,
)
from reasonbench.rewards.config import RewardConfig, RewardOptions

__all__ = [
    "Aggregate",
    "Reward",
    "RewardConfig",
    "RewardError",
    "RewardInfo",
    "RewardOptions",
    "Scored",
    "aggregate",
    "check_served",
    "describe",
    "names",
    "open_reward",
]

GROUP = "reasonbench.rewards"
"""Entry points of this group are `async def open(config: RewardConfig) -> Reward`; their name is
the kind that they are asked for by."""


_WRITTEN = {
    "generative": 'outcome: a language model\'s probability of "Yes, the answer is correct"',
    "judge": "outcome: a mark that a language model is asked for in words",
}


def describe() -> dict[str, str]:
    """Every kind of reward model, third parties' last, and what it is."""
    found = {name: kind.what for name, kind in KINDS.items()} | _WRITTEN
    for point in entry_points(group=GROUP):
        found[point.name] = f"from {point.value}"
    return found


def names() -> list[str]:
    """Every kind of reward model by name."""
    return list(describe())


async def open_reward(config: RewardConfig, policy: Engine | None = None) -> Reward:
    """Load the reward model and return it, ready to score.

    Args:
        policy: the engine that writes, for the model "policy"; it stays open when the reward is
            closed.

    Raises:
        UsageError: an unknown kind, a backend that is not installed, or a model that cannot be
            opened or asked in the way its kind needs.
    """
    points = {point.name: point for point in entry_points(group=GROUP)}
    if config.kind in points:
        opener: Callable[[RewardConfig], Awaitable[Reward]] = points[config.kind].load()
        return await opener(config)
    if config.kind not in ("auto", *KINDS, *_WRITTEN):
        raise unknown("kind of reward", config.kind, ["auto", *names()])
    from reasonbench.rewards.locate import locate_reward
    from reasonbench.rewards.recognise import recognise

    if config.model.startswith(SERVED):
        check_served(config)
    if config.model == "policy" or config.kind in _WRITTEN:
        return await _open_written(config, config.kind, policy)
    located = await asyncio.to_thread(locate_reward, config)
    kind = config.kind
    if kind == "auto":
        kind = recognise(config.model, located.config)
    if kind in _WRITTEN:
        return await _open_written(config, kind, policy)
    if kind not in KINDS:
        raise unknown("kind of reward", kind, names())
    from reasonbench.rewards.incremental import IncrementalReward
    from reasonbench.rewards.pieces import Pieces
    from reasonbench.rewards.tokenizer import load_tokenizer

    module = None if config.replicas else _backend(config)
    tokenizer = await asyncio.to_thread(load_tokenizer, config, located)
    adapter = make(kind, Pieces(tokenizer, config.model), located.config, config.options)
    backend: Backend
    if module is None:
        backend = await replicated().open_backend(config, getattr(policy, "replicas", None))
    else:
        backend = await module.open_backend(config, located, tokenizer, adapter)
    return IncrementalReward(config.model, kind, adapter, backend)


def check_served(config: RewardConfig) -> None:
    """Whether a served model can be a reward as it is asked to.

    Raises:
        UsageError: as another kind than those that answer in words, or without a server.
    """
    from reasonbench.engines.openai import base_urls

    if config.kind not in _WRITTEN:
        raise UsageError(
            f"a served model judges in words: --reward {config.model} takes --reward-kind judge "
            "(a mark) or generative (the probability of Yes)."
        )
    if not config.base_url:
        raise UsageError(
            f"--reward {config.model} needs its server: --reward-arg base_url=http://HOST:PORT/v1."
        )
    base_urls(config.base_url)


def replicated() -> Any:
    """The module that opens models on replicas.

    Raises:
        UsageError: it is not installed.
    """
    if find_spec("ray") is None:
        raise UsageError("replicas need Ray (pip install 'reasonbench[ray]').")
    return import_module("reasonbench.engines.ray")


def _backend(config: RewardConfig) -> Any:
    """The module of the backend that is asked for."""
    name = config.engine
    if name == "auto":
        name = "vllm" if find_spec("vllm") is not None else "transformers"
    if name not in ("vllm", "transformers"):
        raise UsageError(f"rewards run in vllm or transformers, not in {name!r}.")
    if find_spec(name) is None:
        extra = "vllm" if name == "vllm" else "train"
        raise UsageError(f"{name} is not installed (pip install 'reasonbench[{extra}]').")
    return import_module(f"reasonbench.rewards.{name}_backend")


async def _open_written(config: RewardConfig, kind: str, policy: Engine | None) -> Reward:
    """A reward that asks a language model: the policy itself, or another one."""
    from reasonbench.rewards.written import WrittenReward

    if kind not in _WRITTEN:
        raise UsageError(
            "the policy can judge its own solutions as --reward-kind generative or judge only."
        )
    if config.model == "policy":
        if policy is None:
            raise UsageError("there is no policy here that could judge: name a model.")
        return WrittenReward(config.model, kind, policy, config.options, owned=False)
    from reasonbench.rewards.written_engine import open_writer

    engine = await open_writer(config, policy)
    try:
        return WrittenReward(config.model, kind, engine, config.options, owned=True)
    except BaseException:
        await engine.aclose()
        raise
