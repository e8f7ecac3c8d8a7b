"""What a supervised training run can be told, with the reason for each default."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from reasonbench.errors import UsageError, unknown
from reasonbench.in_loop import LoopEval
from reasonbench.trainers.schedule import Decay

RECIPES = Path(__file__).resolve().parent / "recipes"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class OptimizerConfig(_Strict):
    """The optimizer and its rates."""

    name: Literal["muon", "adamw"] = "adamw"
    """`muon` for the hidden matrices with AdamW for the rest, or `adamw` for everything."""
    lr: float = Field(default=1e-5, gt=0)
    """Peak rate: of everything with `adamw`, of the hidden matrices with `muon`."""
    adamw_lr: float = Field(default=1e-5, gt=0)
    """Peak rate of what AdamW updates beside Muon: embeddings, head, norms; `lr` when left out.
    With `adamw` it is another name of `lr`, and goes before it."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled decay of the hidden matrices."""
    embedding_decay: float = Field(default=0.0, ge=0)
    """Decoupled decay of embeddings and head."""
    momentum: float = Field(default=0.95, ge=0, lt=1)
    """Muon's momentum."""
    beta1: float = Field(default=0.9, ge=0, lt=1)
    """AdamW's first decay rate."""
    beta2: float = Field(default=0.95, ge=0, lt=1)
    """AdamW's second decay rate."""
    clip: float = Field(default=1.0, gt=0)
    """Gradients of a larger norm are scaled down to it."""

    @model_validator(mode="before")
    @classmethod
    def _rates(cls, given: Any) -> Any:
        """One rate given is both; AdamW alone has one rate."""
        if not isinstance(given, dict):
            return given
        if "adamw_lr" not in given and "lr" in given:
            return {**given, "adamw_lr": given["lr"]}
        if "adamw_lr" in given and given.get("name", "adamw") == "adamw":
            return {**given, "lr": given["adamw_lr"]}
        return given


class ScheduleConfig(_Strict):
    """The learning rate over the run, in shares of the run."""

    warmup: float = Field(default=0.03, ge=0, lt=1)
    """Share over which the rate rises."""
    decay: Decay = "cosine"
    """Shape of the fall."""
    decay_from: float = Field(default=0.03, ge=0, lt=1)
    """Share at which the fall begins."""
    floor: float = Field(default=0.0, ge=0, le=1)
    """Where the fall ends, as a share of the peak."""


class LoraConfig(_Strict):
    """Low-rank adapters (Hu et al. 2021, arXiv 2106.09685): small matrices beside the weights."""

    rank: int = Field(default=16, ge=1)
    """Columns of the two matrices that are learned beside each weight."""
    alpha: float = Field(default=32.0, gt=0)
    """What they add is multiplied by alpha / rank."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of their input that is left out at random in training."""
    targets: list[str] | None = None
    """Names of the layers that get them (`q_proj`); every linear layer but the output head when
    left out."""
    merge: bool = False
    """Add them to the model at the end and write a whole model folder, not an adapter's."""


class SftConfig(_Strict):
    """A supervised run: which model, which data, how long, how."""

    model: str | None = None
    """Folder or hub name of the causal language model to start from; or give `init`."""
    init: dict[str, Any] | None = None
    """A transformers configuration (`model_type` and its fields) to initialise at random."""
    tokenizer: str | None = None
    """Folder or hub name of the tokenizer, or `builtin`; the model's own when left out."""
    data: str = "builtin"
    """A JSONL file of `messages` or `prompt` and `completion`, or `builtin`."""
    data_options: dict[str, int] = Field(default_factory=dict)
    """Options of the built-in text (`learning`: records before the final mix of styles)."""
    examples: int | None = Field(default=None, ge=1)
    """How many examples to train on; endless data needs it."""
    epochs: float = Field(default=1.0, gt=0)
    """How often to go through a file, when `examples` is left out."""
    shuffle: bool = True
    """Shuffle the records anew in every epoch, which holds them in memory; `builtin` is random."""
    max_length: int = Field(default=4096, ge=2)
    """Longer examples are left out, in tokens."""
    batch_tokens: int = Field(default=8192, ge=2)
    """Padded tokens in a batch at most."""
    accumulate: int = Field(default=1, ge=1)
    """Batches whose gradients are added up before an update, those of all processes together."""
    pool: int = Field(default=2048, ge=1)
    """Examples sorted by length together: larger pads less, smaller mixes better."""
    optimizer: OptimizerConfig = OptimizerConfig()
    """Optimizer and rates."""
    schedule: ScheduleConfig = ScheduleConfig()
    """Warm-up and decay."""
    lora: LoraConfig | None = None
    """Train adapters instead of the model's own weights."""
    recompute: bool = False
    """Compute the inside of each layer again in the backward pass rather than keep it: a third more
    computation, much less memory."""
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    """Precision of the computation; the masters are fp32 either way."""
    device: str = "auto"
    """`cpu`, `cuda`, or `auto`: CUDA where there is one."""
    threads: int | None = Field(default=None, ge=1)
    """CPU threads; torch's default when left out."""
    seed: int = 0
    """Of the initial weights, the data and its order."""
    log_every: int = Field(default=50, ge=1)
    """Updates between two log rows."""
    checkpoint_every: int = Field(default=500, ge=0)
    """Updates between two checkpoints; 0 writes none."""
    log: list[str] = Field(default_factory=list)
    """Also log to `tensorboard`, `wandb` or `trackio`."""
    check_benchmarks: tuple[str, ...] = ()
    """Benchmarks whose problems are looked for in the data, beside those that are evaluated:
    a warning says what was found, `contamination.json` all of it."""
    evaluation: LoopEval | None = None
    """Evaluation in the loop, by a live engine beside the trainer; the folder is a run's then."""
    engine: str = "auto"
    """What writes in evaluations: vllm, transformers, or auto: vLLM where it is installed."""
    engine_args: dict[str, Any] = Field(default_factory=dict)
    """Options of its backend."""


def load_recipe(name: str) -> dict[str, Any]:
    """The settings of a recipe: the name of one that comes with reasonbench, or a TOML file.

    Raises:
        UsageError: no such recipe, or the file is not TOML.
    """
    path = Path(name) if name.endswith(".toml") else RECIPES / f"{name}.toml"
    if not path.is_file():
        if name.endswith(".toml"):
            raise UsageError(f"there is no recipe file {name}")
        raise unknown("recipe", name, (p.stem for p in RECIPES.glob("*.toml")))
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not TOML: {error}") from error
    if "stage" in values:
        raise UsageError(f"{name} is a chain of stages: run it with `reasonbench recipe {name}`")
    return values


def parse_config(settings: dict[str, Any]) -> SftConfig:
    """Checked settings.

    Raises:
        UsageError: a key that does not exist, or a value out of range, in one sentence.
    """
    try:
        return SftConfig.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            raise unknown("training setting", key, SftConfig.model_fields) from error
        raise UsageError(f"training setting {key}: {first['msg']}") from error
