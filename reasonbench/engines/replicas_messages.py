"""What a driver and the hosts of its replicas tell each other, many messages at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from reasonbench.engines.base import EngineDeadError, EngineError
from reasonbench.errors import UsageError
from reasonbench.rewards.base import RewardError
from reasonbench.types import ModelInfo, Usage

Kind = Literal["engine", "reward"]
"""What a part of a host is: a model that writes, or one that judges."""


class Open(NamedTuple):
    """Load a model.

    Attributes:
        call: number of the call, which the answer has too.
        part: what the host calls it from here on.
        config: an `EngineConfig` or a `RewardConfig`.
    """

    call: int
    part: str
    kind: Kind
    config: Any


class Ask(NamedTuple):
    """Call a method of a part.

    Attributes:
        watched: the driver is told every token, and may end the completion.
    """

    call: int
    part: str
    method: str
    arguments: tuple[Any, ...]
    watched: bool = False


class Cancel(NamedTuple):
    """Nobody waits for a call any more."""

    call: int


class Decide(NamedTuple):
    """What a watch says of the tokens that it was told.

    Attributes:
        told: how many of them it has seen.
        at: the completion ends with this one, counted from 1; None where it goes on.
    """

    call: int
    told: int
    at: int | None


Message = Open | Ask | Cancel | Decide


class Opened(NamedTuple):
    """A part that is ready.

    Attributes:
        info: what is known of the model.
        places: requests that keep it busy.
        in_flight: what the engine itself says of that.
        max_model_len: the most tokens of a request.
        notice: see `Engine.notice`.
    """

    info: ModelInfo
    places: int
    in_flight: int
    max_model_len: int
    notice: str | None = None


class Told(NamedTuple):
    """Tokens of a watched completion, in order, since the last time.

    Attributes:
        confidences: one a token.
        last: no more will come, and the completion waits for what the watch says.
    """

    call: int
    tokens: tuple[int, ...]
    confidences: tuple[float | None, ...]
    last: bool


class Failed(NamedTuple):
    """A call that raised.

    Attributes:
        what: a key of `ERRORS`, or "bug".
    """

    call: int
    what: str
    why: str


class Done(NamedTuple):
    """A call that returned."""

    call: int
    result: Any


class Used(NamedTuple):
    """What a part has used that no completion says.

    Attributes:
        aborted: by requests that were cancelled, since the last time.
        unfinished: by the requests that are running, until now.
    """

    aborted: Usage
    unfinished: Usage


@dataclass(slots=True)
class Batch:
    """What happened at a host since it was asked last; empty as a sign of life.

    Attributes:
        used: by part.
    """

    told: list[Told] = field(default_factory=list)
    done: list[Done] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)
    cancelled: list[int] = field(default_factory=list)
    used: Mapping[str, Used] = field(default_factory=dict)


ERRORS: Mapping[str, type[Exception]] = {
    "dead": EngineDeadError,
    "engine": EngineError,
    "reward": RewardError,
    "usage": UsageError,
}
"""Errors that mean something to the driver, the narrowest first."""


def failed(call: int, error: BaseException) -> Failed:
    """The message that an error becomes."""
    for what, kind in ERRORS.items():
        if isinstance(error, kind):
            return Failed(call, what, str(error))
    return Failed(call, "bug", f"{type(error).__name__}: {error}")


def raised(failure: Failed) -> Exception:
    """The error that such a message stands for."""
    kind = ERRORS.get(failure.what, RuntimeError)
    return kind(failure.why)
