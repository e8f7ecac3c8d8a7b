"""What a distillation was asked for: everything that decides which rows it writes."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reasonbench.config import EvalConfig
from reasonbench.errors import UsageError

BENCHMARK = "builtin-arithmetic-train"
STRATEGY = "cot@8"
"""What the teacher is asked, and how, where nobody says."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Select(_Part):
    """Which of a problem's right responses are kept."""

    cap: int = Field(4, ge=0)
    """The most rows of one problem; 0: all."""
    prefer: Literal["random", "first", "shortest", "longest", "diverse"] = "random"
    """Which to take where there are more; `diverse` takes the one least like those taken."""
    near: float = Field(0.8, gt=0, le=1)
    """Jaccard similarity of n-grams from which two responses are near duplicates; 1: exact ones."""
    ngram: int = Field(5, ge=1, le=32)
    """Tokens of an n-gram: words, CJK characters, and each other sign by itself."""
    languages: Literal["one", "question", "any"] = "one"
    """`one`: a response that mixes languages is dropped (reasonbench.text); `question`: also one
    that is in another language than its problem."""
    min_tokens: int = Field(0, ge=0)
    """Shorter responses are dropped."""
    max_tokens: int | None = Field(None, ge=1)
    """Longer responses are dropped."""
    seed: int = Field(0, ge=0)
    """Of random choices."""


class Readable(_Part):
    """What a reader can follow (DeepSeek-R1, 2.3.1 and 2.3.3); the numbers are ours."""

    thinking: bool = True
    """Asks for exactly one `<think>` span that is not empty."""
    summary: bool = True
    """Asks for a closing summary in words that holds the answer: behind the thinking, else as the
    last of several paragraphs."""
    paragraph: int = Field(2000, ge=0)
    """The most characters of a paragraph; 0: any number."""
    code: bool = False
    """Lets code blocks stand where the answer is no program."""


class Rewrite(_Part):
    """The second model, which puts responses into `<think>` and a closing summary."""

    model: str = Field(min_length=1)
    """Folder, hub id, openai:NAME of a served model, or a file of recorded completions (engine
    replay)."""
    engine: str = "auto"
    """vllm, transformers, replay, openai, or auto."""
    base_url: tuple[str, ...] = ()
    """URLs of the servers of a served model; the teacher's where not given."""
    api_key_env: str | None = None
    """Environment variable that holds their key; the teacher's where not given."""
    tokenizer: str | None = None
    """Folder or hub id of the tokenizer; the model's own by default."""
    revision: str | None = None
    """Revision of a hub model."""
    dtype: str = "auto"
    """Number format of computation."""
    max_model_len: int | None = Field(None, ge=16)
    """Most tokens of a prompt and its completion together."""
    engine_arg: dict[str, Any] = Field(default_factory=dict)
    """Options passed to the backend as they are."""
    prompt: Path | None = None
    """File with the request; {question} and {response} stand for the two."""
    system: str | None = None
    """System prompt."""
    thinking: bool | None = None
    """Ask the chat template for thinking (true) or none (false)."""
    temperature: float = Field(0.6, ge=0)
    """Of sampling."""
    top_p: float = Field(0.95, gt=0, le=1)
    """Of sampling."""
    max_tokens: int = Field(4096, ge=1)
    """The most tokens of a rewritten response."""
    tries: int = Field(1, ge=1, le=64)
    """How often each is rewritten; the first that holds is taken."""
    seed: int = Field(0, ge=0)
    """Of sampling."""


class Journey(_Part):
    """Traces that walk wrong branches of a search before the right one (2410.18982)."""

    cap: int = Field(1, ge=1)
    """The most of one problem."""
    wrong: int = Field(1, ge=1)
    """Wrong branches in a trace at most, each from another step."""
    steps: int | None = Field(None, ge=1)
    """Steps that are walked of a wrong branch at most; to its end where not given."""
    score: float | None = None
    """Also branches that the search gave up at a score below this are wrong; without it only those
    whose answer the grader refused."""
    reflections: Path | None = None
    """File of sentences, one a line, that follow a wrong branch; {answer} is its answer."""
    form: Literal["plain", "thinking"] = "plain"
    """`thinking` puts the walk into `<think>` and closes with the right path's last paragraph."""
    only: bool = False
    """Leave out the solutions themselves."""
    seed: int = Field(0, ge=0)
    """Of the choice of branches and sentences."""


class DistillConfig(BaseModel):
    """Everything `reasonbench distill` was asked for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    generate: EvalConfig | None = None
    """Teacher, strategies and problems; none where only existing runs are read."""
    run: tuple[Path, ...] = ()
    """Existing runs to read besides."""
    select: Select = Field(default_factory=Select)
    """Which responses are kept."""
    readable: Readable | None = None
    """The readability filter; off where not given."""
    rewrite: Rewrite | None = None
    """The second model; none where not given."""
    journey: Journey | None = None
    """Traces from search trees; none where not given."""
    ask: Literal["step", "bare", "sampled"] = "step"
    """A row's prompt: the question with its benchmark's request, without it, or as the teacher
    was asked."""
    form: Literal["auto", "messages", "prompt"] = "auto"
    """A row's form; `auto` is `messages` unless the student's chat template would lose part of
    the response."""
    student: str | None = None
    """Folder or hub id of the model that is to be trained: its chat template decides the form."""
    mix: tuple[str, ...] = ()
    """General data as FILE:SHARE, the share of all rows that are to be from it."""
    against: tuple[str, ...] = ()
    """Benchmarks that will be reported: problems that overlap with them are warned of."""


def parse(values: Mapping[str, Any]) -> DistillConfig:
    """A checked configuration.

    Raises:
        UsageError: an unknown setting, a value out of range, or nothing to read from.
    """
    try:
        config = DistillConfig.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UsageError(f"{where}: {first['msg']} (got {first['input']!r:.80}).") from None
    if config.generate is None and not config.run:
        raise UsageError("nothing to distil: give a teacher (--model) or --run DIR.")
    if config.generate is not None and len(config.generate.model) != 1:
        raise UsageError(
            "one teacher a call: distil from each, then read both runs with --run DIR."
        )
    if config.form == "messages" and config.student is not None:
        raise UsageError("--student has no meaning with --form messages.")
    return config


def read(path: Path) -> dict[str, Any]:
    """The settings in a TOML file.

    Raises:
        UsageError: no such file, or not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(f"cannot read recipe {path}: {error.strerror}.") from None
    except ValueError as error:
        raise UsageError(f"recipe {path} is not valid TOML: {error}.") from None


def as_toml(config: DistillConfig) -> dict[str, Any]:
    """The settings as TOML can hold them: those that are None are left out."""
    dumped: dict[str, Any] = config.model_dump(mode="json", exclude_none=True)
    return {key: value for key, value in dumped.items() if value not in ({}, [])}
