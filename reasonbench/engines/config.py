"""How an engine is opened."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from reasonbench.errors import UsageError

API_KEY = "OPENAI_API_KEY"
"""Environment variable that holds the key of a served model, unless another one is named."""


class EngineConfig(BaseModel):
    """Which model writes, and how it runs."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, protected_namespaces=()
    )

    model: str = "builtin"
    """Folder of a model, hub id, a file of recorded completions (replay), "builtin", or
    openai:NAME of a served model."""
    engine: str = "auto"
    """"auto" (openai for openai:NAME, else vllm where it is installed, else transformers), "vllm",
    "transformers", "replay", "openai", "ray" (as `replicas` does), or the name of an entry point of
    the group reasonbench.engines."""
    replicas: int | None = Field(None, ge=1)
    """How many vLLMs serve the model, one per actor of a Ray cluster; one in this program's own
    processes, without Ray, where not given."""
    ray: str | None = None
    """Address of the cluster (HOST:PORT of its head, or "auto"); one is started here by default."""
    revision: str | None = None
    """Branch, tag or commit of a hub model; the newest by default."""
    tokenizer: str | None = None
    """Folder or hub id of the tokenizer; the model's own by default."""
    dtype: str = "auto"
    """Number format of computation: "auto" is the checkpoint's (float32 for transformers on CPU);
    "bfloat16", "float16", "float32"."""
    quantization: str | None = None
    """Quantisation method to load with; what the checkpoint says by default."""
    lora: str | None = None
    """Folder of a LoRA adapter that every request goes through."""
    max_model_len: int | None = Field(None, ge=16)
    """Most tokens of a prompt and its completion together; the model's own limit by default."""
    tensor_parallel_size: int = Field(1, ge=1)
    """GPUs that share each layer (vllm)."""
    pipeline_parallel_size: int = Field(1, ge=1)
    """GPUs that follow one another through the layers (vllm)."""
    gpu_memory_utilization: float | None = Field(None, gt=0, le=1)
    """Share of each GPU's memory that vllm may take; its own default otherwise."""
    engine_args: dict[str, Any] = Field(default_factory=dict)
    """Options handed to the backend as they are; they win over every default of ours."""
    max_in_flight: int | None = Field(None, ge=1)
    """Most requests inside the engine at once; more wait for their turn."""
    base_url: tuple[str, ...] = ()
    """URLs of the servers of a served model (openai): http://HOST:PORT/v1."""
    api_key_env: str = API_KEY
    """Environment variable that holds the servers' key; the key itself is written nowhere."""
    trust_remote_code: bool = False
    """Run the Python code that a hub model brings along."""
    verbose: bool = False
    """Show the backend's own log (also REASONBENCH_VLLM_LOG=1)."""


def check_replicas(engine: str, replicas: int | None, ray: str | None) -> None:
    """Raises:
    UsageError: replicas of another engine than vLLM, or none where a cluster is named.
    """
    if replicas is None:
        if ray is not None:
            raise UsageError("--ray has no meaning without --replicas N.")
        if engine == "ray":
            raise UsageError("--engine ray needs --replicas N.")
    elif engine not in ("auto", "ray", "vllm"):
        raise UsageError(f"replicas run vLLM: --engine {engine} cannot have --replicas.")
