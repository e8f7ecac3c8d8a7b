"""Engine and reward model as replicas: what the rest of the program sees of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from reasonbench.engines.base import EngineError, Held, InFlight, Loaded, Watch
from reasonbench.engines.gate import Gate
from reasonbench.engines.openai_tokenizer import Tokens
from reasonbench.engines.replicas import Replicas
from reasonbench.engines.replicas_connection import Connection
from reasonbench.engines.replicas_messages import Kind, Opened
from reasonbench.errors import UsageError
from reasonbench.rewards.backend import Reading
from reasonbench.types import (
    Completion,
    Message,
    ModelInfo,
    Prompt,
    RequestKey,
    SamplingParams,
    Usage,
)

if TYPE_CHECKING:
    from torch import Tensor

ENGINE, REWARD = "engine", "reward"
"""What the parts of a replica are called."""


class Weights(NamedTuple):
    """What every replica serves, for those that are started later.

    Attributes:
        source: see `LiveEngine.load_weights`.
    """

    source: Path | Mapping[str, Tensor]
    version: int


class ReplicatedEngine:
    """See `reasonbench.engines.base.LiveEngine`.

    Attributes:
        replicas: that serve it; a reward model can be opened beside it.
    """

    def __init__(
        self,
        replicas: Replicas,
        part: str,
        tokens: Tokens,
        max_in_flight: int | None = None,
        *,
        owned: bool = True,
    ) -> None:
        """Args: part: its name there; owned: the replicas end with it."""
        self.replicas = replicas
        self.aborted = Usage()
        self._part = part
        self._tokens = tokens
        self._owned = owned
        self._most = max_in_flight
        self._gate = Gate()
        self._version = 0
        self._notice: str | None = None

    async def open(self, config: Any) -> None:
        """Load the model on every replica.

        Raises:
            UsageError: it cannot be opened, or is not the same everywhere.
        """
        opened = await _open_equal(self.replicas, self._part, "engine", config, self._count)
        self.info = opened[0].info
        self.in_flight = self._most or sum(one.in_flight for one in opened)
        self._limit = min(one.max_model_len for one in opened)
        self._notice = opened[0].notice

    def _count(self, used: Usage) -> None:
        self.aborted += used

    @property
    def notice(self) -> str | None:
        said = (self._notice, self.replicas.losses.sentence())
        return " ".join(sentence for sentence in said if sentence) or None

    @notice.setter
    def notice(self, sentence: str | None) -> None:
        self._notice = sentence

    def render(
        self,
        messages: Sequence[Message],
        *,
        thinking: bool | None = None,
        chat: bool | None = None,
    ) -> Prompt:
        return self._tokens.render(messages, thinking=thinking, chat=chat)

    def encode(self, text: str) -> tuple[int, ...]:
        return self._tokens.encode(text)

    def decode(self, before: Sequence[int], tokens: Sequence[int]) -> str:
        return self._tokens.decode(before, tokens)

    def max_model_len(self) -> int:
        return self._limit

    async def sample(
        self,
        prompt: Prompt,
        params: SamplingParams,
        key: RequestKey,
        watch: Watch | None = None,
    ) -> Completion:
        async def ask() -> Completion:
            problem = (key.benchmark, key.problem_id)
            found: Completion = await self.replicas.ask(
                self._part, problem, "sample", prompt, params, key, watch=watch
            )
            return found

        return await self._gate.serve(ask, restartable=watch is None)

    @property
    def weight_version(self) -> int:
        return self._version

    async def logprobs(
        self, prompt_ids: Sequence[int], completion_ids: Sequence[int]
    ) -> tuple[float, ...]:
        async def ask() -> tuple[float, ...]:
            found: tuple[float, ...] = await self.replicas.ask(
                self._part, tuple(prompt_ids), "logprobs", tuple(prompt_ids), tuple(completion_ids)
            )
            return found

        return await self._gate.serve(ask, restartable=True)

    async def load_weights(
        self,
        source: Path | Mapping[str, Tensor],
        version: int,
        in_flight: InFlight = "wait",
    ) -> Loaded:
        """Replace the weights of every replica: none serves before all have the new ones."""
        async with self._gate.shut(in_flight) as passage:
            sent = source if isinstance(source, Path) else await asyncio.to_thread(_copied, source)
            weights = Weights(sent, version)

            async def restore(connection: Connection) -> None:
                await connection.ask(self._part, "load_weights", *weights, "wait")

            self._gate.refusing = "the last push of weights did not arrive: nothing can be served."
            loaded = await self.replicas.everywhere(
                self._part, "load_weights", *weights, "wait", restore=restore
            )
            self._version, self._gate.refusing = version, None
            return Loaded(
                loaded[0].how,
                sum(one.bytes for one in loaded),
                passage.waited,
                passage.restarted,
            )

    async def held(self) -> Held:
        """What all workers of all replicas hold.

        Raises:
            EngineError: two replicas hold the same weight differently.
        """
        found: list[Held] = await self.replicas.everywhere(self._part, "held")
        fingerprints: dict[str, int] = {}
        for one in found:
            for name, number in one.fingerprints.items():
                if fingerprints.setdefault(name, number) != number:
                    raise EngineError(f"the replicas hold unlike weights {name}.")
        return Held(tuple(version for one in found for version in one.version), fingerprints)

    async def sleep(self, *, discard: bool = False) -> bool:
        """Wait for the running requests, and hold back new ones: replicas keep their GPUs."""
        async with self._gate.shut("wait"):
            self._gate.held = True
        return False

    async def wake(self) -> None:
        async with self._gate.shut("wait"):
            self._gate.held = False

    async def aclose(self) -> None:
        self._gate.refuse("the engine was closed.")
        if self._owned:
            await self.replicas.aclose()
        else:
            await self.replicas.close_part(self._part)


class ReplicatedBackend:
    """See `reasonbench.rewards.backend.Backend`: a reward model on every replica."""

    def __init__(self, replicas: Replicas, *, owned: bool) -> None:
        """Args: owned: the replicas end with it."""
        self.replicas = replicas
        self._owned = owned
        self._opened: list[Opened] = []

    async def open(self, config: Any) -> None:
        """Load the model on every replica; raises UsageError where that fails."""
        self._opened = await _open_equal(self.replicas, REWARD, "reward", config, lambda used: None)

    @property
    def info(self) -> ModelInfo:
        return self._opened[0].info

    def max_model_len(self) -> int:
        return min(one.max_model_len for one in self._opened)

    async def read(
        self, ids: Sequence[int], positions: Sequence[int], cuts: Sequence[int]
    ) -> Reading:
        # solutions of one question begin alike, and what they share is read once
        question = tuple(ids[: cuts[0]])
        found: Reading = await self.replicas.ask(
            REWARD, question, "read", tuple(ids), tuple(positions), tuple(cuts)
        )
        return found

    async def aclose(self) -> None:
        if self._owned:
            await self.replicas.aclose()
        else:
            await self.replicas.close_part(REWARD)


async def _open_equal(
    replicas: Replicas, part: str, kind: Kind, config: Any, used: Any
) -> list[Opened]:
    """Open a part everywhere, and see to it that it is the same everywhere.

    Raises:
        UsageError: it is not.
    """
    opened = await replicas.open(part, kind, config, used)
    for index, one in enumerate(opened):
        if one.info != opened[0].info:
            raise UsageError(
                f"the replicas are not alike: one has {opened[0].info}, number {index + 1} "
                f"{one.info}."
            )
    return opened


def _uncounted(used: Usage) -> None:
    """Readings that nobody got are counted nowhere, as with a reward of this process."""


def _copied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors on the CPU that stay as they are when the trainer's go on."""
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}
