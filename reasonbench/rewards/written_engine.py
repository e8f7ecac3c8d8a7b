"""The engine of a reward that is written."""

from __future__ import annotations

from reasonbench.engines import Engine, EngineConfig, open_engine
from reasonbench.errors import UsageError
from reasonbench.rewards.config import RewardConfig
from reasonbench.rewards.vllm_settings import visible


async def open_writer(config: RewardConfig, policy: Engine | None = None) -> Engine:
    """Open the engine that a reward's configuration speaks of.

    Args:
        policy: the engine that writes, on whose replicas this one runs too where it has any.

    Raises:
        UsageError: it cannot be opened, or GPUs were chosen for an engine that cannot choose.
    """
    if config.device is not None and config.engine not in ("auto", "vllm"):
        raise UsageError(
            f"only vllm runs a generative verifier or judge on GPUs of its choice, not "
            f"{config.engine}: leave the reward's device out."
        )
    engine = EngineConfig(
        model=config.model,
        engine=config.engine,
        revision=config.revision,
        tokenizer=config.tokenizer,
        dtype=config.dtype,
        max_model_len=config.max_model_len,
        tensor_parallel_size=config.tensor_parallel_size,
        gpu_memory_utilization=config.gpu_memory_utilization,
        engine_args=config.engine_args,
        base_url=config.base_url,
        api_key_env=config.api_key_env,
        trust_remote_code=config.trust_remote_code,
        verbose=config.verbose,
        replicas=config.replicas,
        ray=config.ray,
    )
    beside = getattr(policy, "replicas", None)
    if config.replicas is not None and beside is not None:
        from reasonbench.engines.ray import open_engine as open_beside

        return await open_beside(engine, beside)
    with visible(config.device):
        return await open_engine(engine)
