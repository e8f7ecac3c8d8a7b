"""The configuration of an evaluation: what decides its results, in one place.

It is written to RUN/config.toml and reruns verbatim: `reasonbench eval @RUN/config.toml`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from reasonbench import shards
from reasonbench.engines.config import check_replicas
from reasonbench.errors import UsageError

DEFAULT_BENCHMARKS = ("builtin-arithmetic", "builtin-countdown")
DEFAULT_STRATEGIES = ("cot", "maj", "bon", "wbon", "oracle")
DEFAULT_LIMIT = 100
"""Problems of each built-in family that a bare `reasonbench eval` asks."""

Name = Annotated[str, Field(min_length=1)]
Names = Annotated[
    list[Name],
    BeforeValidator(lambda given: [given] if isinstance(given, str) else given),
    Field(min_length=1),
]
"""Several names; a recipe may give one without brackets."""


class Fields(BaseModel):
    """Which fields of a benchmark file of one's own hold what (dotted paths)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: str | None = None
    """Field of the problem's text."""
    answer: str | None = None
    """Field of the gold answer."""
    id: str | None = None
    """Field of the problem's id; the row number where not given."""
    level: str | None = None
    """Field of the difficulty."""
    subject: str | None = None
    """Field of the category."""


class Price(BaseModel):
    """What a served model costs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: float = Field(ge=0, allow_inf_nan=False)
    """US dollars per million prompt tokens."""
    output: float = Field(ge=0, allow_inf_nan=False)
    """US dollars per million generated tokens."""


class EvalConfig(BaseModel):
    """Everything `reasonbench eval` was asked for."""

    model_config = ConfigDict(extra="forbid")

    model: Names = Field(default_factory=lambda: ["builtin"])
    """Models: "builtin", a folder, a hub id, a file of recorded completions (engine replay), or
    openai:NAME of a model that is served at `base_url`."""
    benchmark: Names = Field(default_factory=lambda: list(DEFAULT_BENCHMARKS))
    """Benchmarks by name, or files of one's own."""
    strategy: Names = Field(default_factory=lambda: list(DEFAULT_STRATEGIES))
    """Strategies, as name@n:option=value,…"""
    n: int | None = Field(None, ge=1, le=65_536)
    """Samples of strategies without @n; the protocol's number, else 16."""
    protocol: Name | None = None
    """Protocol preset; each benchmark's own where not given."""
    data: Path | None = None
    """Folder of local benchmark files; the hub where not given."""
    fields: Fields = Field(default_factory=Fields)
    """Field names of benchmark files of one's own."""
    limit: int | None = Field(None, ge=1)
    """Take the fixed, published subset of this many problems of each benchmark."""
    shard: Name | None = None
    """i/n: ask the i-th of n parts of each benchmark; `reasonbench merge` puts them together."""
    seed: int = Field(0, ge=0, lt=2**63)
    """Seed of the run: equal seeds give equal completions."""
    system: str | None = None
    """System prompt; none where not given."""
    chat: bool | None = None
    """Use the chat template (true), plain text (false), or the template where there is one."""

    watch: Path | None = None
    """Folder below which a trainer writes checkpoints; each is evaluated when it is whole."""
    watch_until: int | None = Field(None, ge=0)
    """Stop watching when a checkpoint of this step, or of a later one, has been evaluated."""

    engine: Name = "auto"
    """vllm, transformers, replay, openai, ray, or auto: what the model's name says, else vLLM."""
    replicas: int | None = Field(None, ge=1, le=4096)
    """How many vLLMs serve the model (and the reward), one per actor of a Ray cluster."""
    ray: Name | None = None
    """Address of the cluster: HOST:PORT of its head, or auto; one is started here if not given."""
    base_url: Names | None = None
    """URLs of the servers of a served model: http://HOST:PORT/v1."""
    api_key_env: Name | None = None
    """Environment variable that holds their key (OPENAI_API_KEY)."""
    tokenizer: Name | None = None
    """Folder or hub id of the tokenizer; the model's own where not given."""
    revision: Name | None = None
    """Revision of a hub model."""
    dtype: Name = "auto"
    """Number format of computation."""
    quantization: Name | None = None
    """Quantisation method to load with."""
    lora: Name | None = None
    """Folder of a LoRA adapter to evaluate with."""
    max_model_len: int | None = Field(None, ge=16)
    """Most tokens of a prompt and its completion together."""
    engine_arg: dict[str, Any] = Field(default_factory=dict)
    """Options passed to the backend as they are."""
    trust_remote_code: bool = False
    """Run code that a hub model brings along."""

    reward: Name | None = None
    """Model that judges: "builtin-prm", "builtin-orm", a folder or a hub id."""
    reward_kind: Name = "auto"
    """How the reward is spoken to (list rewards); recognised from its configuration."""
    reward_engine: Name = "auto"
    """What runs the reward: vllm, transformers, or auto: vLLM where it is installed."""
    reward_revision: Name | None = None
    """Revision of a hub reward."""
    reward_arg: dict[str, Any] = Field(default_factory=dict)
    """Options of the reward: how it is spoken to, where it runs, or its backend's own."""
    reward_memory: float | None = Field(None, gt=0, lt=1)
    """Share of a GPU's memory for the reward; in proportion to its size where not given."""
    budget: int | None = Field(None, ge=1)
    """Policy-equivalent tokens of each problem at which every strategy is stopped."""

    grading_workers: int = Field(1, ge=1, le=256)
    """Processes for symbolic grading."""
    gpu_price: float | None = Field(None, ge=0, allow_inf_nan=False)
    """US dollars per hour of one GPU (or of the machine)."""
    gpus: int = Field(1, ge=1, le=1_000_000)
    """GPUs that the price and GPU-seconds are counted for."""
    price_in: float | None = Field(None, ge=0, allow_inf_nan=False)
    """US dollars per million prompt tokens of a served model."""
    price_out: float | None = Field(None, ge=0, allow_inf_nan=False)
    """US dollars per million generated tokens of a served model."""
    prices: dict[str, Price] = Field(default_factory=dict)
    """Both, by the name of the model: [prices."NAME"] input = …, output = …"""
    max_in_flight: int | None = Field(None, ge=1)
    """Requests given to the engine at once."""
    max_minutes: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Stop generating after this many minutes; the same command goes on from there."""
    max_usd: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Stop when this much has been spent since the command began; needs gpu_price, or prices of
    tokens."""


LISTS = ("model", "benchmark", "strategy")
"""Settings that hold several values, each once."""

REWARD_SETTINGS = frozenset(
    {
        "reward", "reward_kind", "reward_engine", "reward_revision", "reward_arg", "reward_memory",
        "budget",
    }
)  # fmt: skip
"""Settings of what judges and when to stop: what is stored is kept apart by them, so that one run
can be judged by several rewards without sampling anything again."""

VOLATILE = REWARD_SETTINGS | {
    "max_in_flight",
    "max_minutes",
    "max_usd",
    "grading_workers",
    "watch_until",
    "base_url",
    "api_key_env",
    "replicas",
    "ray",
}
"""Settings that may differ between a run and its resumption."""


def read_recipe(path: Path) -> dict[str, Any]:
    """The settings in a TOML file.

    Raises:
        UsageError: no such file, or not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(f"cannot read recipe {path}: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:  # not TOML, not UTF-8, or a monstrous number
        raise UsageError(f"recipe {path} is not valid TOML: {error}.") from None


def make(values: Mapping[str, Any]) -> EvalConfig:
    """A checked configuration.

    Raises:
        UsageError: an unknown setting or a value out of range.
    """
    try:
        config = EvalConfig.model_validate(values)
    except ValidationError as error:
        raise UsageError(_sentence(error)) from None
    for name in LISTS:
        given = getattr(config, name)
        if len(set(given)) < len(given):
            twice = next(g for g in given if given.count(g) > 1)
            raise UsageError(f"{name} {twice!r} is given twice.")
    if config.reward is None:
        for name in sorted(REWARD_SETTINGS - {"reward", "budget"}):
            if getattr(config, name) != EvalConfig.model_fields[name].get_default(
                call_default_factory=True
            ):
                raise UsageError(f"--{name.replace('_', '-')} has no meaning without --reward.")
    _check_prices(config)
    served = config.engine == "openai" or any(
        name.startswith("openai:") for name in (*config.model, config.reward or "")
    )
    for name in ("base_url", "api_key_env"):
        if getattr(config, name) is not None and not served:
            given = name.replace("_", "-")
            raise UsageError(f"--{given} has no meaning without --model openai:NAME.")
    _check_replicas(config)
    if config.shard is not None:
        shards.parse(config.shard)
        if config.watch is not None:
            raise UsageError("--shard has no meaning with --watch: runs of many weights are whole.")
    if config.watch is not None:
        if config.max_usd is not None:
            raise UsageError("--max-usd has no meaning with --watch: give --max-minutes.")
        if config.model not in (["builtin"], [str(config.watch)]):
            raise UsageError("--watch says which models are evaluated: leave --model out.")
        return config.model_copy(update={"model": [str(config.watch)]})
    if config.watch_until is not None:
        raise UsageError("--watch-until has no meaning without --watch.")
    return config


def _check_prices(config: EvalConfig) -> None:
    """Raises:
    UsageError: prices that contradict each other, or a limit on money without a price.
    """
    if config.price_in is not None or config.price_out is not None or config.prices:
        if config.gpu_price is not None:
            raise UsageError("--gpu-price and a price per token: give one of them.")
        if (config.price_in is None) != (config.price_out is None):
            raise UsageError("--price-in and --price-out belong together.")
    if config.max_usd is None or config.gpu_price is not None:
        return
    if config.price_in is None and not config.prices:
        raise UsageError(
            "--max-usd needs a price: give --gpu-price (US dollars per hour), or --price-in and "
            "--price-out (per million tokens)."
        )
    billed = list(config.model) if config.price_in is None else []
    if config.reward is not None and config.reward.startswith("openai:"):
        billed.append(config.reward)
    for model in billed:
        name = model.removeprefix("openai:")
        if model not in config.prices and name not in config.prices:
            raise UsageError(
                f'--max-usd needs the price of {model}: [prices."{name}"] in a recipe, with '
                "input and output."
            )


def _check_replicas(config: EvalConfig) -> None:
    """Raises:
    UsageError: replicas of something else than a model that runs in vLLM, or none at all.
    """
    check_replicas(config.engine, config.replicas, config.ray)
    if config.replicas is None:
        return
    served = next((name for name in config.model if name.startswith("openai:")), None)
    if served is not None:
        raise UsageError(f"--replicas has no meaning for {served}: its servers are --base-url.")


def _sentence(error: ValidationError) -> str:
    """What is wrong with the first wrong setting."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        inside = first["loc"][0] == "fields"
        known = Fields.model_fields if inside else EvalConfig.model_fields
        return f"unknown setting {where!r}; known: {', '.join(sorted(known))}."
    said = re.sub("^(Input|List|String|Value) ", "", first["msg"])
    given = repr(first["input"])
    return f"{where} {said} (got {given if len(given) <= 80 else given[:77] + '...'})."


def as_toml(config: EvalConfig) -> dict[str, Any]:
    """The settings as TOML can hold them: those that are None are left out."""
    dumped: dict[str, Any] = config.model_dump(mode="json", exclude_none=True)
    return {key: value for key, value in dumped.items() if value != {}}
