"""What the training on preferences can be told."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, ValidationError

from reasonbench.errors import UsageError, unknown
from reasonbench.in_loop import LoopEval
from reasonbench.trainers.group_training import GroupConfig
from reasonbench.trainers.preference_pairs import PairsConfig

Method = Literal["dpo", "ipo", "kto", "orpo"]

RATES: dict[str, float] = {"dpo": 1e-6, "ipo": 1e-6, "kto": 1e-6, "orpo": 5e-6}
"""Peak learning rates where none is given: small, since whole responses move together (ORPO, which
starts from a base model: Hong et al. 2024)."""


class PreferenceConfig(GroupConfig):
    """A run on preferences: which model, which data, which loss."""

    method: Method = "dpo"
    """The loss."""
    model: str = "builtin"
    """Folder or hub name of the causal language model to start from; `builtin` is the built-in
    policy."""
    reference: str | None = None
    """The model that the trained one is compared with; the one it starts from when left out. `orpo`
    has none."""
    data: str | None = None
    """A JSONL file of preferences; or give `runs`."""
    runs: tuple[str, ...] = ()
    """Folders of runs whose graded samples become preferences (kept as `pairs.jsonl`)."""
    pairs: PairsConfig = PairsConfig()
    """Which of the runs' samples (`kto` takes single ones by default); `per_problem` also caps the
    pairs that good and bad responses to one prompt of a file give."""
    ties: bool = False
    """Rankings may give several responses one rank."""
    rankings: Literal["pairs", "plackett-luce"] = "pairs"
    """What `dpo` makes of a ranking: every pair of a better and a worse response, or the
    Plackett-Luce likelihood of the whole (Rafailov et al. 2023, appendix A.3)."""
    chat: bool | None = None
    """Text prompts are a user's turn of the chat template; by default where the tokenizer has one
    and the text is not a rendered prompt already."""
    beta: float | None = Field(default=None, gt=0)
    """Pull towards the reference (`dpo`, `ipo`, `kto`: 0.1), or weight of the odds ratio (`orpo`:
    0.1)."""
    desirable_weight: float = Field(default=1.0, gt=0)
    """`kto`: weight of good responses."""
    undesirable_weight: float = Field(default=1.0, gt=0)
    """`kto`: weight of bad responses."""
    sft: float = Field(default=0.0, ge=0)
    """Weight of a supervised term: the mean negative log-likelihood of a token of the row's
    `sft_target`, or of the chosen response where it has none. `orpo` has its own, of weight 1."""
    holdout: int = Field(default=0, ge=0)
    """Prompts at the end of the data whose preferences are only measured."""
    max_length: int = Field(default=4096, ge=2)
    """Preferences with a longer text are left out, in tokens of prompt and response."""
    recompute: bool = False
    """Compute the inside of each layer again in the backward pass rather than keep it: a third more
    computation, much less memory."""
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    """Precision of the computation; the masters are fp32 either way."""
    check_benchmarks: tuple[str, ...] = ()
    """Benchmarks whose problems are looked for in the data, beside those that are evaluated:
    a warning says what was found, `contamination.json` all of it."""
    evaluation: LoopEval | None = None
    """Evaluation in the loop, by a live engine beside the trainer; the folder is a run's then."""
    engine: str = "auto"
    """What writes in evaluations: vllm, transformers, or auto: vLLM where it is installed."""
    engine_args: dict[str, Any] = Field(default_factory=dict)
    """Options of its backend."""
    device: str = "auto"
    """`cpu`, `cuda`, or `auto`: CUDA where there is one."""
    threads: int | None = Field(default=None, ge=1)
    """CPU threads; torch's default when left out."""


def parse_preference(settings: dict[str, Any]) -> PreferenceConfig:
    """Checked settings.

    Raises:
        UsageError: a key that does not exist, a value out of range, or settings that do not go
            together, in one sentence.
    """
    peak = RATES.get(str(settings.get("method", "dpo")), 1e-6)
    optimizer = settings.get("optimizer", {})
    if isinstance(optimizer, dict):
        settings = settings | {"optimizer": {"lr": peak, **optimizer}}
    try:
        config = PreferenceConfig.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            known = PairsConfig if key.startswith("pairs.") else PreferenceConfig
            raise unknown("training setting", key, known.model_fields) from error
        raise UsageError(f"training setting {key}: {first['msg']}") from error
    if bool(config.data) == bool(config.runs):
        raise UsageError("give a file of preferences (--data), or runs to make them of (--run)")
    if config.rankings == "plackett-luce" and config.method != "dpo":
        raise UsageError(f"rankings=plackett-luce is a loss of dpo, not of {config.method}")
    if config.method == "kto" and config.sft:
        raise UsageError("kto has no chosen response for a supervised term: leave sft out")
    if config.method == "orpo" and config.reference:
        raise UsageError("orpo has no reference model: leave `reference` out")
    if config.rankings == "plackett-luce" and config.sft:
        raise UsageError("a ranking has no chosen response for a supervised term: leave sft out")
    if config.runs and config.method == "kto" and "kind" not in config.pairs.model_fields_set:
        pairs = config.pairs.model_copy(update={"kind": "label"})
        config = config.model_copy(update={"pairs": pairs})
    return config
