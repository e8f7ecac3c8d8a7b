"""The weights of the transformers engine: replaced in place, between two batches."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from reasonbench.engines.base import EngineDeadError, EngineError, Held, InFlight, Loaded
from reasonbench.engines.fingerprint import fingerprint
from reasonbench.engines.gate import Gate
from reasonbench.engines.shared_files import folder_files


class LiveModel:
    """A model whose weights change.

    Attributes:
        version: of the weights that serve now.
        alone: held by whoever computes with the model or changes it. A batch may compute on for a
            step when nobody waits for it any more.
    """

    def __init__(self, model: Any, gate: Gate) -> None:
        self.version = 0
        self.alone = threading.Lock()
        self._model = model
        self._gate = gate
        self._home: torch.device | None = None

    def close(self) -> None:
        """Let the model go."""
        self._model = None

    async def load(
        self, source: Path | Mapping[str, Tensor], version: int, in_flight: InFlight
    ) -> Loaded:
        """See `LiveEngine.load_weights`."""
        async with self._gate.shut(in_flight) as passage:
            await self._come_home()
            try:
                size = await asyncio.to_thread(self._replace, source)
            except FileNotFoundError as error:  # nothing was changed yet
                raise EngineError(f"no weights to load: {error}.") from error
            except (OSError, KeyError, ValueError, RuntimeError) as error:
                self._gate.refusing = "the last push of weights did not arrive."
                raise EngineError(f"the weights did not arrive: {error}.") from error
            self.version, self._gate.refusing = version, None
            return Loaded("in place", size, passage.waited, passage.restarted)

    @torch.no_grad()
    def _replace(self, source: Path | Mapping[str, Tensor]) -> int:
        """Copy every weight; returns the bytes that were copied.

        Raises:
            ValueError: one is missing, or has another shape.
        """
        own = dict(self._here().named_parameters())
        missing = set(own)
        size = 0
        with self.alone:
            for name, tensor in _named(source):
                if name not in own:
                    continue  # a tied weight under its other name
                if tensor.shape != own[name].shape:
                    raise ValueError(
                        f"{name} has shape {tuple(tensor.shape)}, not {tuple(own[name].shape)}"
                    )
                own[name].copy_(tensor)
                missing.discard(name)
                size += own[name].nbytes
        if missing:
            raise ValueError(f"{len(missing)} weights were not pushed, {min(missing)} among them")
        return size

    async def held(self) -> Held:
        """See `LiveEngine.held`."""
        return await asyncio.to_thread(self._held)

    def _held(self) -> Held:
        with self.alone:
            named = self._here().named_parameters(remove_duplicate=False)
            return Held((self.version,), {name: fingerprint(weight) for name, weight in named})

    async def logprobs(self, ids: list[int], last: int) -> tuple[float, ...]:
        """Of the last so many tokens; see `LiveEngine.logprobs`."""
        return await asyncio.to_thread(self._logprobs, ids, last)

    @torch.inference_mode()
    def _logprobs(self, ids: list[int], last: int) -> tuple[float, ...]:
        with self.alone:
            model = self._here()
            tokens = torch.tensor([ids], device=model.device)
            output = model(input_ids=tokens[:, :-1], use_cache=False, logits_to_keep=last)
            chosen = tokens[0, -last:, None]
            found = output.logits[0].float().log_softmax(dim=-1).gather(-1, chosen)
        return tuple(found.squeeze(-1).tolist())

    async def sleep(self) -> bool:
        """See `LiveEngine.sleep`: the weights go to main memory. Never run on a GPU."""
        async with self._gate.shut("wait"):
            self._gate.held = True
            model = self._here()
            if model.device.type != "cuda" or getattr(model, "hf_device_map", None):
                return self._home is not None
            self._home = model.device
            await asyncio.to_thread(model.to, "cpu")
            torch.cuda.empty_cache()
            return True

    async def wake(self) -> None:
        """See `LiveEngine.wake`."""
        async with self._gate.shut("wait"):
            await self._come_home()

    async def _come_home(self) -> None:
        if self._home is not None:
            await asyncio.to_thread(self._here().to, self._home)
        self._home = None
        self._gate.held = False

    def _here(self) -> Any:
        if self._model is None:
            raise EngineDeadError("the engine was closed.")
        return self._model


def _named(source: Path | Mapping[str, Tensor]) -> Iterable[tuple[str, Tensor]]:
    """Tensors with their names, one at a time where they lie in files."""
    if not isinstance(source, Path):
        yield from source.items()
        return
    for file in folder_files(source):
        with safe_open(file, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118 - it is no mapping
                yield name, tensors.get_tensor(name)
