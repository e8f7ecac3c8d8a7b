"""What a strategy is.

A strategy that only samples is *draws + selector*: it says what to draw, and a selector chooses
from the pool. All strategies that draw alike share one pool of completions, and every k ≤ n is
computed from the stored pool, offline (reasonbench.metrics).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field

from reasonbench.rewards.base import Aggregate
from reasonbench.types import Question, Usage

MAX_N = 65_536
"""More samples of one problem than this is taken for a slip of the keyboard."""

PUBLIC = "public"
"""The reward that is the share of visible examples that a program passes."""

REWARD = "reward"
"""The scorer that is the run's reward model (`--reward`)."""

STEP = r"\n\n"
"""What ends a step where nobody says: the blank line (reasonbench.steps)."""


class Behaviour(NamedTuple):
    """What is run of a pool's programs, besides the hidden tests, for a strategy to choose by.

    Attributes:
        by: "outputs" on shared inputs, or which "tests" of the model's they pass.
        inputs: whence the shared inputs are: "examples", "type", "model" or "all".
        completions: of tests, for each problem, that the model writes; 0 for none.
        per: asserts taken of each of these.
    """

    by: Literal["outputs", "tests"]
    inputs: str = ""
    completions: int = 0
    per: int = 0

    @property
    def reward(self) -> str:
        """The name under which it is stored."""
        drawn = f"{self.completions}x{self.per}" if self.completions else ""
        name = "codet" if self.by == "tests" else f"behaviour:{self.inputs}"
        return f"{name}:{drawn}" if drawn else name


class Candidate(NamedTuple):
    """One sample of a pool, as selectors see it.

    Attributes:
        answer_class: number of its answer's equivalence class; -1 without an answer.
        score: the scorer's value, higher is better; None where missing.
        weight: its weight ≥ 0 in a weighted vote; None where missing.
        usage: what it cost.
    """

    answer_class: int
    score: float | None = None
    weight: float | None = None
    usage: Usage = Usage()


class Draws(BaseModel):
    """What to sample: settings left at None come from the protocol."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float | None = Field(None, ge=0, le=100)
    """Sampling temperature; 0 is greedy."""
    top_p: float | None = Field(None, gt=0, le=1)
    """Nucleus: keep the likeliest tokens that hold this share of the probability."""
    top_k: int | None = Field(None, ge=0)
    """Keep the k likeliest tokens; 0 keeps all."""
    min_p: float | None = Field(None, ge=0, le=1)
    """Drop tokens below this share of the likeliest one's probability."""
    max_tokens: int | None = Field(None, ge=1)
    """The most tokens of a completion."""
    prompt: Literal["direct", "step", "few-shot", "r1"] | None = None
    """How the question is asked: the answer alone, step by step, after exemplars, or as R1-Zero."""
    shots: int | None = Field(None, ge=0, le=64)
    """Number of exemplars before the question."""
    exemplars: str | None = None
    """File of exemplars; the built-in ones where it is not given."""
    thinking: bool | None = None
    """Ask the chat template for thinking (true) or none (false); its default where not given."""


class Strategy(Draws):
    """What all strategies share: a pool of draws with a selector, or a search."""

    name: ClassVar[str]
    title: ClassVar[str]
    """One line for `reasonbench list strategies`."""
    source: ClassVar[str]
    """Paper and section."""

    reported: ClassVar[str | None] = None
    """The metric's name in results where it is not the estimator's."""

    n: int = Field(ge=1, le=MAX_N)
    """How many completions."""

    @property
    def scorer(self) -> str | None:
        """What scores its candidates (`REWARD`: the run's model), or None where nothing does."""
        return None

    @property
    def power(self) -> float:
        """Exponent of a vote by rank (`borda@k`)."""
        return 0.5

    @property
    def steps(self) -> str:
        """What ends a step for the reward, as the option `step` spells it."""
        return STEP

    @property
    def aggregated(self) -> Aggregate:
        """A candidate's score from those of its steps."""
        return "last"

    def with_reward(self) -> Self:
        """The strategy in a run that has a reward model; itself where that changes nothing."""
        return self

    @property
    def top_logprobs(self) -> int:
        """How many likeliest tokens a token's confidence is of; 0 where it needs none."""
        return 0

    @property
    def behaviour(self) -> Behaviour | None:
        """What programs are classed by; None for the classes that all strategies share."""
        return None

    @property
    def public(self) -> bool:
        """Whether only programs that pass every visible example are candidates."""
        return False

    def check(self, questions: Sequence[Question]) -> None:
        """Whether it can be asked of these questions.

        Raises:
            UsageError: it cannot.
        """

    def notes(self, questions: Sequence[Question]) -> tuple[str, ...]:
        """What belongs to the protocol besides how completions are sampled, a sentence each."""
        return ()

    def draws(self) -> Draws:
        """What it samples, apart from how many."""
        return Draws(**{field: getattr(self, field) for field in Draws.model_fields})


class Pooled(Strategy):
    """A strategy over a pool of n completions.

    Subclasses set `name`, `metric` and `title`, may add options as fields, and say which
    candidate they choose.
    """

    metric: ClassVar[str]
    """The estimator in reasonbench.metrics that gives its accuracy at every k."""

    @property
    def headline_k(self) -> int:
        """The k that stands in the table."""
        return self.n

    def choose(self, candidates: Sequence[Candidate], seed: int) -> int | None:
        """Index of the candidate it answers with; None where no candidate has an answer.

        Ties are broken at random by `seed`.
        """
        raise NotImplementedError
