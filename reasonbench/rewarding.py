"""The reward model of a run: its name in the store, how it is opened, what it weighs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from reasonbench.config import EvalConfig
from reasonbench.engines import API_KEY, SERVED
from reasonbench.errors import UsageError, unknown
from reasonbench.rewards.base import Reward
from reasonbench.strategies.base import STEP, Strategy
from reasonbench.types import ModelInfo

if TYPE_CHECKING:
    from reasonbench.engines.base import Engine
    from reasonbench.engines.config import EngineConfig
    from reasonbench.rewards import RewardConfig

POLICY = "policy"
"""The reward that is the policy itself, asked to judge."""


def reward_name(config: EvalConfig) -> str:
    """What scores are stored under: the model, and what else they depend on."""
    if config.reward is None:
        return ""
    name = config.reward
    if config.reward_revision is not None:
        name += f"@{config.reward_revision}"
    if config.reward_kind != "auto":
        name += f":{config.reward_kind}"
    spoken = _split(config)[1]
    if spoken:
        options = json.dumps(spoken, sort_keys=True).encode()
        name += f"#{blake2b(options, digest_size=3).hexdigest()}"
    return name


def stored_as(reward: str, strategy: Strategy) -> str:
    """The name of a reward's scores with the strategy's steps, where these are not the usual."""
    return reward if strategy.steps == STEP else f"{reward}|step={strategy.steps}"


def reward_config(config: EvalConfig) -> RewardConfig:
    """How the run's reward is opened.

    Raises:
        UsageError: an option that it does not have.
    """
    from reasonbench.rewards import RewardConfig

    assert config.reward is not None
    running, spoken, backend = _split(config)
    running |= _servers(config, running)
    given = {
        "model": config.reward,
        "kind": config.reward_kind,
        "engine": config.reward_engine,
        "revision": config.reward_revision,
        "gpu_memory_utilization": config.reward_memory,
        "trust_remote_code": config.trust_remote_code,
        "options": spoken,
        "engine_args": backend,
        **({} if config.reward.startswith(SERVED) else replicas_of(config)),
        **running,
    }
    try:
        return RewardConfig.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"--reward-arg {first['loc'][-1]}: {first['msg']}.") from None


def _servers(config: EvalConfig, running: Mapping[str, Any]) -> dict[str, Any]:
    """Where a served reward is: its own servers and key, else those of the policy.

    Raises:
        UsageError: servers of a reward that is not served.
    """
    if not str(config.reward).startswith(SERVED):
        for name in ("base_url", "api_key_env"):
            if name in running:
                raise UsageError(
                    f"--reward-arg {name} has no meaning without --reward openai:NAME."
                )
        return {}
    urls = running.get("base_url", config.base_url or ())
    return {
        "base_url": (urls,) if isinstance(urls, str) else tuple(urls),
        "api_key_env": running.get("api_key_env", config.api_key_env or API_KEY),
    }


def replicas_of(config: EvalConfig) -> dict[str, Any]:
    """Settings of engines and rewards that run as replicas."""
    return {"replicas": config.replicas, "ray": config.ray}


def check_reward(config: EvalConfig) -> None:
    """Find the reward before anything is loaded.

    Raises:
        UsageError: it is not there, or an option of it is wrong.
    """
    from reasonbench.rewards import check_served, names
    from reasonbench.rewards.adapters import KINDS
    from reasonbench.rewards.locate import locate_reward

    chosen = reward_config(config)
    if chosen.kind not in ("auto", *names()):
        raise unknown("kind of reward", chosen.kind, ["auto", *names()])
    if chosen.model.startswith(SERVED):
        check_served(chosen)
    elif config.reward != POLICY and chosen.kind in ("auto", *KINDS):
        locate_reward(chosen)


def beside_reward(config: EvalConfig, policy: EngineConfig, *, opening: bool) -> EngineConfig:
    """The policy's configuration, with its share of a GPU's memory where a reward runs beside it.

    Args:
        opening: whether a reward is opened at all.

    Raises:
        UsageError: the reward, or the policy, is not there.
    """
    if not opening or policy.engine not in ("auto", "vllm", "ray"):
        return policy
    return _shared(policy, reward_config(config))[0]


def _shared(policy: EngineConfig, reward: RewardConfig) -> tuple[EngineConfig, RewardConfig]:
    """Both with shares of one GPU's memory, where they share one."""
    from reasonbench.rewards.adapters import KINDS
    from reasonbench.rewards.memory import split_memory

    elsewhere = reward.model == POLICY or reward.model.startswith(SERVED)
    if elsewhere or reward.kind not in ("auto", *KINDS):
        return policy, reward
    own = policy.engine_args.get("gpu_memory_utilization")
    if own is not None:
        policy = policy.model_copy(update={"gpu_memory_utilization": own})
    return split_memory(policy, reward)


def _split(config: EvalConfig) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The options of a reward: where it runs, how it is spoken to, and the backend's own."""
    from reasonbench.rewards.config import RewardConfig, RewardOptions

    own = {
        "tokenizer", "dtype", "max_model_len", "tensor_parallel_size", "device", "verbose",
        "base_url", "api_key_env",
    }  # fmt: skip
    running: dict[str, Any] = {}
    spoken: dict[str, Any] = {}
    backend: dict[str, Any] = {}
    for key, value in config.reward_arg.items():
        if key in RewardOptions.model_fields:
            spoken[key] = value
        elif key in own & RewardConfig.model_fields.keys():
            running[key] = value
        else:
            backend[key] = value
    return running, spoken, backend


async def open_configured(
    config: EvalConfig, policy: EngineConfig, engine: Engine | None
) -> Reward:
    """Load the run's reward, beside its policy where that runs.

    Args:
        policy: how the policy is opened.
        engine: the policy, where it is open.

    Raises:
        UsageError: it cannot be opened.
    """
    from reasonbench.rewards import open_reward

    chosen = reward_config(config)
    if engine is not None and engine.info.engine == "vllm":
        chosen = _shared(policy, chosen)[1]
    return await open_reward(chosen, engine)


async def open_alone(config: EvalConfig) -> Reward:
    """Load the run's reward where no policy runs.

    Raises:
        UsageError: it cannot be opened.
    """
    from reasonbench.rewards import open_reward

    if config.reward == POLICY:
        raise UsageError("the policy judges its own solutions only while it writes them: use eval.")
    return await open_reward(reward_config(config))


def scored_by(reward: str, aggregated: str) -> str:
    """What a run's notes say of strategies that choose by its reward."""
    return f"scored by {reward}, of a process reward the {aggregated} of the step scores"


def described(reward: Reward) -> dict[str, Any]:
    """What is written of a reward to the run."""
    return asdict(reward.info)


def info_of(written: Mapping[str, Any] | None) -> ModelInfo | None:
    """The model behind a reward that `described` wrote down."""
    return None if written is None else ModelInfo(**written["model"])


def share(reward: ModelInfo | None, policy: ModelInfo) -> float:
    """The reward's active parameters / the policy's.

    0 for a reward without parameters (a rule); 1 where the policy's, or those of a model that is
    served, are unknown.
    """
    if reward is None:
        return 0.0
    if not reward.active_parameters:
        return 1.0 if reward.engine == "openai" else 0.0
    if not policy.active_parameters:
        return 1.0
    return reward.active_parameters / policy.active_parameters
