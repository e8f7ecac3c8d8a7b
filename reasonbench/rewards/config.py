"""How a reward is opened."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from reasonbench.engines.config import API_KEY


class RewardOptions(BaseModel):
    """How the model is spoken to, where it differs from what its adapter does by default."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, protected_namespaces=()
    )

    system: str | None = None
    """System message of the conversation; the adapter's own by default."""
    chat: bool | None = None
    """Whether the question is asked through the chat template; where there is one by default."""
    step_tag: str | None = None
    """Token behind each step, at which its score is read; the adapter's own by default."""
    step_format: str = "{step}"
    """What a step looks like to the model: {step} is its text, {number} counts from 1."""
    good: str | None = None
    """Token that means a good step or a right answer ("+", "Yes")."""
    bad: str | None = None
    """Token that means a bad step or a wrong answer ("-", "No")."""
    label: int | None = Field(None, ge=0)
    """Which of a classifier's labels is the good one: 1 of two by default."""
    activation: Literal["sigmoid", "none"] = "sigmoid"
    """What a classifier with one label goes through; "none" gives its raw number."""
    prompt: str | None = None
    """What a generative verifier or a judge is asked: {question}, {solution}."""
    votes: int = Field(1, ge=1)
    """How often a generative verifier or a judge is asked; the mean counts."""
    reason: bool = False
    """Whether a generative verifier reasons before it answers."""
    max_tokens: int = Field(1024, ge=1)
    """The most tokens of a verifier's reasoning or a judge's answer."""
    temperature: float = Field(0.7, ge=0)
    """Of that text, where there is more than one vote; one vote is greedy."""
    seed: int = 0
    """Of that text."""


class RewardConfig(BaseModel):
    """Which model judges, and how it runs."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, protected_namespaces=()
    )

    model: str
    """Folder of a model, hub id, "builtin-prm" or "builtin-orm"; for the kinds generative and
    judge also openai:NAME of a served model, and "policy": the model that writes judges itself."""
    kind: str = "auto"
    """How to speak to it: a kind of docs/rewards.md, or the name of an entry point of the group
    reasonbench.rewards; "auto" recognises it from its config.json and its name."""
    engine: str = "auto"
    """"auto" (vllm where it is installed, else transformers), "vllm" or "transformers"; the kinds
    generative and judge take any engine that writes."""
    revision: str | None = None
    """Branch, tag or commit of a hub model; the newest by default."""
    tokenizer: str | None = None
    """Folder or hub id of the tokenizer; the model's own by default."""
    dtype: str = "auto"
    """Number format of computation: "auto" is the checkpoint's (float32 for transformers on CPU);
    "bfloat16", "float16", "float32"."""
    max_model_len: int | None = Field(None, ge=16)
    """Most tokens of a question and its solution; the model's own limit by default."""
    tensor_parallel_size: int = Field(1, ge=1)
    """GPUs that share each layer (vllm)."""
    gpu_memory_utilization: float | None = Field(None, gt=0, le=1)
    """Share of a GPU's memory that vllm may take; see `split_memory` for the default."""
    base_url: tuple[str, ...] = ()
    """URLs of the servers of a served model (openai:NAME); the policy's where it is served too."""
    api_key_env: str = API_KEY
    """Environment variable that holds the servers' key; the key itself is written nowhere."""
    replicas: int | None = Field(None, ge=1)
    """How many vLLMs judge, each on one of the policy's replicas where there are any (ray)."""
    ray: str | None = None
    """Address of the Ray cluster; one is started here by default."""
    device: str | None = None
    """Which GPUs it runs on ("1", "2,3"), or "cpu" (transformers); the policy's by default."""
    engine_args: dict[str, Any] = Field(default_factory=dict)
    """Options handed to the backend as they are; they win over every default of ours."""
    options: RewardOptions = RewardOptions()
    """How the model is spoken to."""
    trust_remote_code: bool = False
    """Run the Python code that a hub model brings along."""
    verbose: bool = False
    """Show the backend's own log (also REASONBENCH_VLLM_LOG=1)."""
