"""What every engine does: the protocol that strategies, trainers and rewards see."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

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

Watch = Callable[[int, float | None], bool]
"""Told every token of a completion and its confidence (None unless `top_logprobs` asks for it), in
order; True aborts the completion with this token. One watch serves one request."""


class EngineError(Exception):
    """A request that the engine could not serve; the problem it belongs to is ungraded."""


class EngineDeadError(EngineError):
    """The engine itself died: no further request can be served, and the run stops (resumable)."""


class Engine(Protocol):
    """A model that writes. All methods may be called from many coroutines at once.

    `sample` serves one request: n samples are n requests with n seeds, and the prefix cache makes
    their common prompt free. The engine batches whatever is in flight.
    """

    info: ModelInfo
    in_flight: int
    """How many requests keep it busy: the evaluator gives it no more at once."""
    notice: str | None
    """What the user should know of how it was chosen or set up, or None."""
    aborted: Usage
    """What requests that were cancelled had used by then: no completion says it."""

    def render(
        self,
        messages: Sequence[Message],
        *,
        thinking: bool | None = None,
        chat: bool | None = None,
    ) -> Prompt:
        """The prompt of a conversation, tokenised once.

        With a chat template (`chat` None or True) the template's generation prompt is added and
        `thinking` is passed as `enable_thinking` (None leaves the template's default); a last
        message of the assistant is continued rather than answered. Without one (base models, or
        `chat=False`) the contents are joined as plain text.

        Raises:
            UsageError: `chat=True` for a model without a chat template.
        """
        ...

    def encode(self, text: str) -> tuple[int, ...]:
        """The tokens of a text that is put behind a prompt: nothing is added before it."""
        ...

    def decode(self, before: Sequence[int], tokens: Sequence[int]) -> str:
        """The text of tokens that follow others, as in a completion: special tokens left out."""
        ...

    async def sample(
        self,
        prompt: Prompt,
        params: SamplingParams,
        key: RequestKey,
        watch: Watch | None = None,
    ) -> Completion:
        """One completion. Cancelling the awaiting task aborts the request in the engine.

        `params.seed` decides what is sampled; `key` says which request of the run it is (recorded
        completions are found by it, replicas route by its problem). A completion that the watch
        ends is "aborted" and keeps the tokens up to that one; its usage counts all that were
        decoded. A watch has no say over a token with which the completion ends anyway.

        Raises:
            EngineError: the request could not be served (the prompt is too long, the engine died).
        """
        ...

    def max_model_len(self) -> int:
        """The most tokens a prompt and its completion may have together."""
        ...

    async def aclose(self) -> None:
        """Free the model. Safe to call twice."""
        ...


InFlight = Literal["wait", "restart"]
"""What becomes of requests that are running when new weights arrive. Either way no completion is
written by two versions, and `Completion.weight_version` is the one that wrote all of it.

"wait": they end first, with the old weights. "restart": they are aborted and sampled again from
their first token with the new weights (what they had used counts as aborted); those with a watch,
which has been told their tokens already, are waited for. Requests that come during a push wait for
the new weights.
"""


class Loaded(NamedTuple):
    """How new weights reached an engine.

    Attributes:
        how: "shared memory", "file", "in place", "ipc" or "nccl".
        bytes: that were handed over.
        waited: seconds until no request was running.
        restarted: requests that were aborted and sampled again.
    """

    how: str
    bytes: int
    waited: float
    restarted: int


class Held(NamedTuple):
    """What the workers of an engine compute with.

    Attributes:
        version: the version they loaded last, one per worker.
        fingerprints: by the checkpoint's name of a weight, the `fingerprint.fingerprint` of what
            is multiplied with, read back from where the kernels read it. Weights that cannot be
            read back (sharded or quantised ones) are left out.
    """

    version: tuple[int, ...]
    fingerprints: Mapping[str, int]


class LiveEngine(Engine, Protocol):
    """An engine whose weights can be replaced while it runs, as training does."""

    @property
    def weight_version(self) -> int:
        """The version of the weights that serve now; 0 until the first push."""
        ...

    async def logprobs(
        self, prompt_ids: Sequence[int], completion_ids: Sequence[int]
    ) -> tuple[float, ...]:
        """The log-probability of each token of a completion behind a prompt, in nats, raw (T = 1).

        Computed anew with the weights of now: nothing is read from the prefix cache.

        Raises:
            EngineError: there is no prompt, or both are longer than the engine takes.
        """
        ...

    async def load_weights(
        self,
        source: Path | Mapping[str, Tensor],
        version: int,
        in_flight: InFlight = "wait",
    ) -> Loaded:
        """Replace the weights, empty the prefix cache and stamp `version` from here on.

        Args:
            source: a folder of safetensors files, or tensors by the checkpoint's names. A tied
                output layer is not among them. The names must be those of the whole model.
            in_flight: see `InFlight`.

        Raises:
            EngineError: they did not arrive whole; nothing is served until a push succeeds.
        """
        ...

    async def held(self) -> Held:
        """What the workers hold, for `trainers.verify`."""
        ...

    async def sleep(self, *, discard: bool = False) -> bool:
        """Free the memory of the GPU for the trainer, after the running requests.

        Requests wait until `wake`, or with `discard` until new weights are loaded.

        Args:
            discard: the weights are given up rather than kept in main memory.

        Returns:
            whether memory was freed: an engine on CPU, or one that was not started for it (see
            `trainers.push.for_training`), only pauses.
        """
        ...

    async def wake(self) -> None:
        """Serve again after `sleep`. Awake already is no error.

        Raises:
            EngineError: the weights were discarded: they have to be loaded.
        """
        ...
