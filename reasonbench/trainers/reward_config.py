"""What the training of a reward model can be told."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

from pydantic import BaseModel, Field, ValidationError

from reasonbench.errors import UsageError, unknown
from reasonbench.trainers.config import OptimizerConfig, ScheduleConfig, _Strict
from reasonbench.trainers.preference_pairs import PairsConfig
from reasonbench.trainers.reward_labels import LabelsConfig


class RewardTraining(_Strict):
    """What process and outcome rewards have in common."""

    model: str = "builtin"
    """Folder or hub name of the language model or reward model to start from; `builtin` is the
    built-in policy, `builtin-prm` the built-in process reward."""
    extra_layers: int = Field(default=0, ge=0)
    """Layers put on top of it, which change nothing at first."""
    grow: int = Field(default=0, ge=0)
    """Problems on whose solutions two added layers learn, before anything else, to compare what
    was written with what the policy expected (`reward_growth`); 0 adds none."""
    frozen: int = Field(default=0, ge=0)
    """Lowest layers, and the embeddings with them, that keep their weights."""
    labels: LabelsConfig = LabelsConfig()
    """How step labels are made where no file of them is given."""
    data: str | None = None
    """A file of step labels, or of rows whose form is told by their fields
    (docs/preferences.md); step labels are made anew (and kept in the folder) when left out."""
    check_benchmarks: tuple[str, ...] = ()
    """Benchmarks whose problems are looked for in the training data: a warning says what was found,
    `contamination.json` all of it."""
    rolled_out: bool = True
    """Also train on the roll-outs as solutions of their own."""
    slips: float = Field(default=0.0, ge=0, le=1)
    """Share of the right steps that get a wrong twin: the same step with a digit changed."""
    bare: float = Field(default=0.75, ge=0, le=1)
    """Share of prompts that hold the question without the benchmark's instruction."""
    holdout: int = Field(default=200, ge=0)
    """Problems that are only scored, to measure with: the last questions that appear in the file,
    with all their rows."""
    epochs: float = Field(default=1.0, gt=0)
    """How often to go through the problems."""
    max_length: int = Field(default=320, ge=2)
    """Tokens of a row: the prompt with as many solutions as fit; longer ones are left out and
    counted. Of rows of preferences, tokens of the prompt with one response."""
    batch_tokens: int = Field(default=4096, ge=2)
    """Padded tokens in a batch at most."""
    pool: int = Field(default=256, ge=1)
    """Problems sorted by length together."""
    optimizer: OptimizerConfig = OptimizerConfig()
    """Optimizer and rates."""
    schedule: ScheduleConfig = ScheduleConfig()
    """Warm-up and decay."""
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    """Precision of the computation; the masters are fp32 either way."""
    device: str = "cpu"
    """`cpu` or `cuda`."""
    threads: int | None = Field(default=None, ge=1)
    """CPU threads; torch's default when left out."""
    seed: int = 0
    """Of the new weights and the order of the data."""
    log_every: int = Field(default=20, ge=1)
    """Updates between two log rows."""
    checkpoint_every: int = Field(default=100, ge=0)
    """Updates between two checkpoints; 0 writes none."""


class OrmConfig(RewardTraining):
    """An outcome reward model: where it starts, from which solutions, how it learns."""

    loss: Literal["bce", "mse", "pairwise", "plackett-luce"] | None = None
    """`bce`: cross-entropy against whether it is right, or against its grade; `mse`: squared error
    of the score in [0, 1] against the same; `pairwise`: −log σ(score of the better one − score of
    the worse one); `plackett-luce`: the likelihood of a whole ranking. By default `pairwise` for
    rows of pairs and rankings, and `bce` for everything else."""
    score_max: float = Field(default=5.0, gt=0)
    """The best grade of rows with a `score`; the score learned is the grade over it."""
    ties: bool = False
    """Rankings may give several responses one rank."""
    chat: bool | None = None
    """Text prompts of rows are a user's turn of the chat template; by default where the text is not
    a rendered prompt already."""
    runs: tuple[str, ...] = ()
    """Folders of runs whose graded samples are learned from, in place of `data`."""
    pairs: PairsConfig = PairsConfig()
    """Which of the runs' samples."""
    batch: int = Field(default=32, ge=1)
    """Rows (pairs, rankings, responses) in an update; step labels go by `batch_tokens` alone."""


Config = TypeVar("Config", bound=RewardTraining)


def parse_reward(kind: type[Config], settings: dict[str, Any]) -> Config:
    """Checked settings.

    Raises:
        UsageError: a key that does not exist, or a value out of range, in one sentence.
    """
    try:
        return kind.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            inner: dict[str, type[BaseModel]] = {"labels": LabelsConfig, "pairs": PairsConfig}
            known = inner.get(key.partition(".")[0], kind)
            raise unknown("training setting", key, known.model_fields) from error
        raise UsageError(f"training setting {key}: {first['msg']}") from error
