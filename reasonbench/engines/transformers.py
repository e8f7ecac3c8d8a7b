"""The transformers engine: a fallback with dynamic batching of its own, where vLLM is missing."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reasonbench.engines import info as model_info
from reasonbench.engines.adapter import adapter_folder
from reasonbench.engines.base import (
    EngineDeadError,
    EngineError,
    Held,
    InFlight,
    Loaded,
    Watch,
)
from reasonbench.engines.chat import Renderer
from reasonbench.engines.config import EngineConfig
from reasonbench.engines.decoder import Decoder
from reasonbench.engines.ending import ending
from reasonbench.engines.failure import first_line
from reasonbench.engines.gate import Gate
from reasonbench.engines.locate import Located, locate
from reasonbench.engines.transformers_batch import Row, run
from reasonbench.engines.transformers_live import LiveModel
from reasonbench.errors import UsageError, unknown
from reasonbench.types import (
    Completion,
    Message,
    Prompt,
    RequestKey,
    SamplingParams,
    Usage,
)

if TYPE_CHECKING:
    from torch import Tensor

_log = logging.getLogger(__name__)

MAX_ROWS = 64
"""Requests in one batch by default."""

MAX_TOKENS = 1 << 17
"""Most tokens (rows × longest prompt and completion) that one batch may come to hold."""

_PAUSE = 0.005
"""Seconds without a new request after which a batch starts with those there are."""

_ARGUMENTS = (
    "attn_implementation",
    "device_map",
    "max_memory",
    "max_rows",
    "offload_folder",
    "subfolder",
    "variant",
)


async def open_engine(config: EngineConfig) -> TransformersEngine:
    """Load the model: on a GPU where torch sees one, else on the CPU in float32.

    Raises:
        UsageError: the model or an argument does not allow it.
    """
    for name in config.engine_args:
        if name not in _ARGUMENTS:
            raise unknown("engine argument of transformers", name, _ARGUMENTS)
    if config.quantization is not None:
        raise UsageError(
            "the transformers engine loads quantised checkpoints as they are: leave --quantization "
            "out, or use vllm."
        )
    if config.lora is not None:
        adapter_folder(config.lora)
    located = locate(config.model, config.revision)
    return await asyncio.to_thread(_load, config, located)


def _load(config: EngineConfig, located: Located) -> TransformersEngine:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils.logging import disable_progress_bar, set_verbosity_error

    if not config.verbose:
        disable_progress_bar()
        set_verbosity_error()
    on_gpu = torch.cuda.is_available()
    dtype = config.dtype if config.dtype != "auto" or on_gpu else "float32"
    arguments = {k: v for k, v in config.engine_args.items() if k != "max_rows"}
    common = {"revision": located.revision, "trust_remote_code": config.trust_remote_code}
    try:
        tokenizer = AutoTokenizer.from_pretrained(config.tokenizer or located.source, **common)
        model = AutoModelForCausalLM.from_pretrained(
            located.source, dtype=dtype, **common, **arguments
        )
        if "device_map" not in arguments and on_gpu:
            model = model.to("cuda")
        if config.lora is not None:
            model.load_adapter(str(adapter_folder(config.lora)))
    except ImportError as error:
        raise UsageError(f"{config.model} needs a package: {first_line(error)}") from error
    except (OSError, ValueError, RuntimeError) as error:
        raise UsageError(
            f"transformers could not open {config.model}: {first_line(error)}"
        ) from error
    return TransformersEngine(config, located, model.eval(), tokenizer)


class TransformersEngine:
    """See `reasonbench.engines.base.LiveEngine`. One thread of its own runs batch after batch."""

    def __init__(self, config: EngineConfig, located: Located, model: Any, tokenizer: Any) -> None:
        import transformers

        facts = model_info.inspect(located)
        self.notice: str | None = None
        self.aborted = Usage()
        self._gate = Gate()
        self._live = LiveModel(model, self._gate)
        self._max_rows = int(config.engine_args.get("max_rows", MAX_ROWS))
        self.in_flight = config.max_in_flight or 4 * self._max_rows
        self._model = model
        self._renderer = Renderer(tokenizer, config.model)
        self._decoder = Decoder(tokenizer)
        self._ends = _end_tokens(model, tokenizer)
        self._pad = tokenizer.pad_token_id or 0
        text = model.config.get_text_config()
        self._limit = min(
            config.max_model_len or 1 << 31,
            getattr(text, "max_position_embeddings", None) or 1 << 31,
        )
        self._waiting: deque[tuple[Row, Future[Completion]]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="transformers", daemon=True)
        self._thread.start()
        self.info = model_info.describe(
            located,
            facts,
            model=config.model,
            engine="transformers",
            version=transformers.__version__,
            dtype=model.dtype,
            chat_template=self._renderer.has_template,
            lora=config.lora,
        )

    def render(
        self,
        messages: Sequence[Message],
        *,
        thinking: bool | None = None,
        chat: bool | None = None,
    ) -> Prompt:
        return self._renderer.render(messages, thinking=thinking, chat=chat)

    def encode(self, text: str) -> tuple[int, ...]:
        return self._renderer.encode(text, special=False)

    def decode(self, before: Sequence[int], tokens: Sequence[int]) -> str:
        return self._decoder.decode(before, tokens)

    def max_model_len(self) -> int:
        return self._limit

    async def sample(
        self,
        prompt: Prompt,
        params: SamplingParams,
        key: RequestKey,
        watch: Watch | None = None,
    ) -> Completion:
        room = self._limit - len(prompt.token_ids)
        if not prompt.token_ids or room < 1:
            raise EngineError(
                f"a prompt of {len(prompt.token_ids)} tokens does not fit (1 to {self._limit - 1})."
            )
        ask = partial(self._sample, prompt, params, watch, room)
        return await self._gate.serve(ask, restartable=watch is None)

    async def _sample(
        self, prompt: Prompt, params: SamplingParams, watch: Watch | None, room: int
    ) -> Completion:
        future: Future[Completion] = Future()
        row = Row(
            prompt,
            params,
            min(params.max_tokens, room),
            lambda: self._closed or future.cancelled(),
            time.perf_counter(),
            partial(self._decoder.decode, prompt.token_ids),
            ending(params, watch, self._decoder.after(prompt.token_ids)),
        )
        with self._changed:
            if self._closed:
                raise EngineDeadError("the engine was closed.")
            self._waiting.append((row, future))
            self._changed.notify()
        completion = await asyncio.wrap_future(future)
        return dataclasses.replace(completion, weight_version=self.weight_version)

    async def logprobs(
        self, prompt_ids: Sequence[int], completion_ids: Sequence[int]
    ) -> tuple[float, ...]:
        if not completion_ids:
            return ()
        if not prompt_ids or len(prompt_ids) + len(completion_ids) > self._limit:
            raise EngineError(
                f"{len(prompt_ids)} and {len(completion_ids)} tokens cannot be read: there must be "
                f"a prompt, and at most {self._limit} tokens together."
            )
        ask = partial(self._live.logprobs, [*prompt_ids, *completion_ids], len(completion_ids))
        return await self._gate.serve(ask, restartable=False)

    @property
    def weight_version(self) -> int:
        return self._live.version

    async def load_weights(
        self,
        source: Path | Mapping[str, Tensor],
        version: int,
        in_flight: InFlight = "wait",
    ) -> Loaded:
        return await self._live.load(source, version, in_flight)

    async def held(self) -> Held:
        return await self._live.held()

    async def sleep(self, *, discard: bool = False) -> bool:
        return await self._live.sleep()

    async def wake(self) -> None:
        await self._live.wake()

    async def aclose(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._gate.refuse("the engine was closed.")
        await asyncio.to_thread(self._thread.join)
        self._model = None
        self._live.close()

    def _work(self) -> None:
        """The engine's thread: take a batch, run it, until closed."""
        while batch := self._take():
            futures = {id(row): future for row, future in batch}

            def finished(
                row: Row, completion: Completion, futures: dict[int, Any] = futures
            ) -> None:
                _settle(futures[id(row)], completion)

            try:
                with self._live.alone:
                    run(
                    self._model, [row for row, _ in batch], self._ends, self._pad, finished,
                    self._cancelled,
                )  # fmt: skip
            except Exception as error:
                # whatever went wrong belongs to these requests; the next batch may be smaller
                _log.exception("a batch of %d requests failed", len(batch))
                for future in futures.values():
                    _settle(future, EngineError(f"transformers failed: {error}"))
            for future in futures.values():
                _settle(future, EngineDeadError("the engine was closed."))

    def _cancelled(self, row: Row) -> None:
        self.aborted += row.completion("aborted").usage

    def _take(self) -> list[tuple[Row, Future[Completion]]]:
        """Wait for requests and take those nearest in length to the one that waits longest."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            seen = 0
            while seen < len(self._waiting) < self._max_rows and not self._closed:
                # who asks for many completions asks for them one after the other
                seen = len(self._waiting)
                self._changed.wait(_PAUSE)
            if self._closed:
                for _, future in self._waiting:
                    _settle(future, EngineDeadError("the engine was closed."))
                return []
            first = len(self._waiting[0][0].prompt.token_ids)
            order = sorted(
                range(len(self._waiting)),
                key=lambda i: (abs(len(self._waiting[i][0].prompt.token_ids) - first), i),
            )
            chosen: list[int] = []
            widest = 0
            for index in order[: self._max_rows]:
                row = self._waiting[index][0]
                widest = max(widest, len(row.prompt.token_ids) + row.limit)
                if chosen and widest * (len(chosen) + 1) > MAX_TOKENS:
                    break
                chosen.append(index)
            batch = [self._waiting[index] for index in chosen]
            for index in sorted(chosen, reverse=True):
                del self._waiting[index]
            return batch


def _settle(future: Future[Completion], result: Completion | Exception) -> None:
    """Give a request its result, unless nobody waits for it any more."""
    if future.done() or not future.set_running_or_notify_cancel():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)


def _end_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    """Every token that ends a completion: the generation config's and the tokenizer's."""
    ends = model.generation_config.eos_token_id
    found = set(ends if isinstance(ends, list) else [ends])
    found.add(tokenizer.eos_token_id)
    return frozenset(int(token) for token in found if token is not None)
