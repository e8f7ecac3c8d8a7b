"""The weights of a running vLLM, as the trainer handles them: push, read back, sleep, wake."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from reasonbench.engines.base import EngineDeadError, EngineError, Held, InFlight, Loaded
from reasonbench.engines.gate import Gate
from reasonbench.engines.shared_files import folder_files, written
from reasonbench.engines.vllm_transfer import Transfer

if TYPE_CHECKING:
    from torch import Tensor
    from vllm.v1.engine.async_llm import AsyncLLM


class Moved(NamedTuple):
    """How tensors reached the workers, and how many bytes."""

    how: str
    bytes: int


class LiveWeights:
    """Replaces the weights of one vLLM.

    Attributes:
        version: of the weights that serve now.
    """

    def __init__(self, llm: Callable[[], AsyncLLM], gate: Gate) -> None:
        """Args: llm: gives vLLM, or raises EngineDeadError; gate: that its requests pass."""
        self._get = llm
        self._gate = gate
        self._asleep = False
        self._discarded = False
        config = llm().vllm_config.weight_transfer_config
        self._transfer = Transfer(llm(), config.backend) if config is not None else None
        self.version = 0

    @property
    def _llm(self) -> AsyncLLM:
        return self._get()

    async def load(
        self, source: Path | Mapping[str, Tensor], version: int, in_flight: InFlight
    ) -> Loaded:
        """See `LiveEngine.load_weights`."""
        from vllm.v1.engine.exceptions import EngineDeadError as Dead

        async with self._gate.shut(in_flight) as passage, self._awake():
            refusing = self._gate.refusing
            self._gate.refusing = "the last push of weights did not arrive: nothing can be served."
            try:
                moved = await self._move(source, version)
            except FileNotFoundError as error:  # nothing was sent yet
                self._gate.refusing = refusing
                raise EngineError(f"no weights to load: {error}.") from error
            except (Dead, EngineDeadError):
                raise
            except asyncio.CancelledError:
                self._gate.held = False  # as below: refused, and not waiting for ever
                raise
            except Exception as error:
                self._gate.held = False  # requests are refused, asleep or not
                raise EngineError(f"the weights did not arrive: {error}.") from error
            if not await self._llm.reset_prefix_cache(reset_running_requests=True):
                raise EngineError("vLLM did not empty its prefix cache after new weights.")
            self.version, self._gate.refusing = version, None
            return Loaded(moved.how, moved.bytes, passage.waited, passage.restarted)

    async def held(self) -> Held:
        """See `LiveEngine.held`.

        Raises:
            EngineError: workers that hold the same weight hold it differently.
        """
        versions: list[int] = []
        fingerprints: dict[str, int] = {}
        for version, found in await self._llm.collective_rpc("reasonbench_held"):
            versions.append(int(version))
            for name, number in found.items():
                if fingerprints.setdefault(name, number) != number:
                    raise EngineError(f"the workers of vLLM hold unlike weights {name}.")
        return Held(tuple(versions), fingerprints)

    async def sleep(self, *, discard: bool) -> bool:
        """See `LiveEngine.sleep`."""
        async with self._gate.shut("wait"):
            self._gate.held = True
            if not self._llm.model_config.enable_sleep_mode or self._asleep:
                return self._asleep
            await self._llm.sleep(level=2 if discard else 1, mode="wait")
            self._asleep, self._discarded = True, discard
            return True

    async def wake(self) -> None:
        """See `LiveEngine.wake`."""
        if self._discarded:
            raise EngineError("the weights were discarded for sleeping: load them.")
        async with self._gate.shut("wait"), self._awake():
            pass

    @asynccontextmanager
    async def _awake(self) -> AsyncIterator[None]:
        """Weights have their memory inside the block, and behind it the cache has its own again.

        Both at once may not fit beside what else is on the GPU while weights arrive.
        """
        if self._asleep:
            await self._llm.wake_up(tags=["weights"])
        yield
        if self._asleep:
            await self._llm.wake_up(tags=["kv_cache"])
        self._asleep = self._discarded = self._gate.held = False

    async def _move(self, source: Path | Mapping[str, Tensor], version: int) -> Moved:
        """Bring tensors into every worker and stamp their version there."""
        if isinstance(source, Path):
            files = folder_files(source)
            await self._load(files, version)
            return Moved("file", sum(Path(file).stat().st_size for file in files))
        dtype = self._llm.model_config.dtype
        if self._transfer is not None and all(t.is_cuda for t in source.values()):
            if not self.version:
                await self._llm.collective_rpc("reasonbench_held")
            size = await self._transfer.send(source, dtype)
            await self._llm.collective_rpc("reasonbench_loaded", args=(version,))
            return Moved(self._transfer.backend, size)
        with written(source, dtype) as file:
            await self._load([str(file.path)], version)
            return Moved(file.how, file.bytes)

    async def _load(self, files: list[str], version: int) -> None:
        await self._llm.collective_rpc("reasonbench_load", args=(files, version))
