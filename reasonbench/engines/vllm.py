"""The vLLM engine: `AsyncLLM`, one request per sample, each with its own seed."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
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
from reasonbench.engines.ending import Ending, ending
from reasonbench.engines.failure import root_cause, start_failure
from reasonbench.engines.gate import Gate
from reasonbench.engines.locate import Located, locate
from reasonbench.engines.vllm_environment import ON_GPU, SINGLE_CORE, quiet, variables
from reasonbench.engines.vllm_live import LiveWeights
from reasonbench.engines.vllm_requests import (
    FINISH,
    Collected,
    ends_anyway,
    needs_scores,
    request_params,
    score_params,
    unfinished,
)
from reasonbench.engines.vllm_settings import engine_arguments, single_core
from reasonbench.engines.vllm_transfer import ENVIRONMENT as TRANSFER
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
    from vllm.v1.engine.async_llm import AsyncLLM

IN_FLIGHT = 1024
"""Requests given to the engine at once by default: enough that its queue never runs dry while the
client is busy with what finished."""


_PATIENCE = 5.0
"""Seconds that an aborted request has to hand over what it generated."""


async def open_engine(config: EngineConfig) -> VllmEngine:
    """Start vLLM (in processes of its own) and wait until it is ready.

    Raises:
        UsageError: the model, an argument or the machine does not allow it.
    """
    located = locate(config.model, config.revision)
    if config.lora is not None:
        adapter_folder(config.lora)  # a missing one is told before vLLM takes its time
    engine = await asyncio.to_thread(_start, config, located)
    try:
        await engine.install()
    except BaseException:
        await engine.aclose()
        raise
    return engine


def _start(config: EngineConfig, located: Located) -> VllmEngine:
    facts = model_info.inspect(located)
    with quiet(config, local=located.folder is not None) as log:
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.platforms import current_platform
        from vllm.v1.engine.async_llm import AsyncLLM

        on_cpu = current_platform.is_cpu()
        single = on_cpu and single_core(config, facts.parameters)
        arguments = engine_arguments(config, located, on_cpu=on_cpu, single=single)
        environment = SINGLE_CORE if single else {} if on_cpu else ON_GPU
        transfer = arguments.get("weight_transfer_config") is not None
        with variables(environment | (TRANSFER if transfer else {})):
            try:
                llm = AsyncLLM.from_engine_args(AsyncEngineArgs(**arguments))
            except Exception as error:
                raise start_failure(config, error, log) from error
    return VllmEngine(config, located, facts, llm, log)


class VllmEngine:
    """See `reasonbench.engines.base.LiveEngine`."""

    def __init__(
        self,
        config: EngineConfig,
        located: Located,
        facts: model_info.Facts,
        llm: AsyncLLM,
        log: Path | None,
    ) -> None:
        import vllm

        self._llm: AsyncLLM | None = llm
        self._gate = Gate()
        self._weights = LiveWeights(lambda: self.llm, self._gate)
        self.notice: str | None = None
        self.aborted = Usage()
        self.in_flight = config.max_in_flight or IN_FLIGHT
        self._places = asyncio.Semaphore(config.max_in_flight) if config.max_in_flight else None
        tokenizer = llm.get_tokenizer()
        self._renderer = Renderer(tokenizer, config.model)
        self._decoder = Decoder(tokenizer)
        self._lora = _lora_request(config)
        self._log = log
        self._numbers = itertools.count()
        self._scores = False
        model = llm.model_config
        self.info = model_info.describe(
            located,
            facts,
            model=config.model,
            engine="vllm",
            version=vllm.__version__,
            dtype=model.dtype,
            chat_template=self._renderer.has_template,
            quantization=model.quantization,
            lora=config.lora,
        )

    @property
    def llm(self) -> AsyncLLM:
        """vLLM itself, for what the protocol does not offer (`collective_rpc`).

        Raises:
            EngineDeadError: the engine was closed.
        """
        if self._llm is None:
            raise EngineDeadError("the engine was closed.")
        return self._llm

    @property
    def unfinished(self) -> Usage:
        """What the requests that are running have used by now."""
        return Usage() if self._llm is None else unfinished(self._llm)

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
        return int(self.llm.model_config.max_model_len)

    async def sample(
        self,
        prompt: Prompt,
        params: SamplingParams,
        key: RequestKey,
        watch: Watch | None = None,
    ) -> Completion:
        ask = partial(self._sample, prompt, params, watch)
        if self._places is None:
            return await self._gate.serve(ask, restartable=watch is None)
        async with self._places:
            return await self._gate.serve(ask, restartable=watch is None)

    async def _sample(
        self, prompt: Prompt, params: SamplingParams, watch: Watch | None
    ) -> Completion:
        if not self._scores and needs_scores(params):
            raise EngineError(
                "self-certainty, confidences and processed log-probabilities need vLLM's V1 model "
                "runner without speculative decoding."
            )
        version = self.weight_version
        started = time.perf_counter()
        end = ending(params, watch, self._decoder.after(prompt.token_ids))
        with self._told():
            found = await self._generate(prompt, params, end)
        return self._completion(prompt, found, end, version, time.perf_counter() - started)

    async def _generate(
        self, prompt: Prompt, params: SamplingParams, end: Ending | None
    ) -> Collected:
        """All that vLLM generates for a request; it is aborted on cancellation, and at its ending.

        After an abort the last result holds what had been generated meanwhile, which vLLM counts.
        """
        name = str(next(self._numbers))
        # in a task of its own, so that a request that is cancelled is still read to its end
        reading = asyncio.ensure_future(self._read(name, prompt, params, end))
        try:
            return await asyncio.shield(reading)
        except asyncio.CancelledError:
            await self._cancel(name, prompt, reading)
            raise

    async def _cancel(self, name: str, prompt: Prompt, reading: asyncio.Future[Collected]) -> None:
        """Abort a request and count what it used."""
        if self._llm is not None:
            await self._llm.abort(name)
            # one that vLLM had not heard of yet is not aborted: it ends with the task that asks
            await asyncio.wait({reading}, timeout=_PATIENCE)
        if reading.cancel() or reading.cancelled() or reading.exception() is not None:
            return
        found = reading.result()
        read = bool(found.tokens)
        self.aborted += Usage(
            prompt_tokens=len(prompt.token_ids) - found.cached if read else 0,
            cached_tokens=found.cached,
            decode_tokens=len(found.tokens),
            requests=1,
        )

    async def _read(
        self, name: str, prompt: Prompt, params: SamplingParams, end: Ending | None
    ) -> Collected:
        """Results come one by one only where something must be looked for in them."""
        found = Collected(params)
        results = self.llm.generate(
            {"type": "token", "prompt_token_ids": list(prompt.token_ids)},
            request_params(params, streamed=end is not None),
            name,
            lora_request=self._lora,
        )
        async for result in results:
            seen = len(found.tokens)
            found.add(result)
            if end is not None and end.at is None:
                new = enumerate(found.tokens[seen:], start=seen)
                ended = any(end.feed(token, found.confidence(index)) for index, token in new)
                if ended and not result.finished:
                    await self.llm.abort(name)
            if result.finished:
                if end is not None:
                    await end.settle()
                return found
        raise EngineError("vLLM ended the request without a result.")

    @contextmanager
    def _told(self) -> Iterator[None]:
        """vLLM's errors as ours."""
        from vllm.exceptions import VLLMClientError
        from vllm.v1.engine.exceptions import EngineDeadError as Dead
        from vllm.v1.engine.exceptions import EngineGenerateError

        try:
            yield
        except Dead as error:
            raise EngineDeadError(self._why_dead()) from error
        except (VLLMClientError, ValueError, EngineGenerateError) as error:
            raise EngineError(f"vLLM refused the request: {error.__cause__ or error}") from error

    async def logprobs(
        self, prompt_ids: Sequence[int], completion_ids: Sequence[int]
    ) -> tuple[float, ...]:
        if not completion_ids:
            return ()
        if not prompt_ids:
            raise EngineError("a first token has no log-probability: there is no prompt before it.")
        ids = [*prompt_ids, *completion_ids]
        return await self._gate.serve(
            partial(self._score, ids, len(completion_ids)), restartable=True
        )

    async def _score(self, ids: list[int], last: int) -> tuple[float, ...]:
        """Of the last so many tokens."""
        name = str(next(self._numbers))
        prompt: Any = {"type": "token", "prompt_token_ids": ids}
        with self._told():
            async for result in self.llm.generate(
                prompt, score_params(), name, lora_request=self._lora
            ):
                if result.finished and result.prompt_logprobs is not None:
                    return tuple(result.prompt_logprobs.logprobs[-last:])
        raise EngineError("vLLM ended the request without log-probabilities.")

    @property
    def weight_version(self) -> int:
        return self._weights.version

    async def load_weights(
        self,
        source: Path | Mapping[str, Tensor],
        version: int,
        in_flight: InFlight = "wait",
    ) -> Loaded:
        with self._told():
            return await self._weights.load(source, version, in_flight)

    async def held(self) -> Held:
        with self._told():
            return await self._weights.held()

    async def sleep(self, *, discard: bool = False) -> bool:
        return await self._weights.sleep(discard=discard)

    async def wake(self) -> None:
        await self._weights.wake()

    async def install(self) -> None:
        """Put our sampler into the workers; see `vllm_worker`."""
        done = await self.llm.collective_rpc(
            "reasonbench_install", args=(socket.gethostname(), os.getpid())
        )
        self._scores = all(done)

    def _completion(
        self, prompt: Prompt, found: Collected, end: Ending | None, version: int, seconds: float
    ) -> Completion:
        """The completion of a finished request, cut where its pattern or its watch ends it."""
        params, finish = found.params, FINISH.get(found.finish_reason)
        tokens, stop_reason = tuple(found.tokens), found.stop_reason
        cut = end is not None and end.at is not None and not ends_anyway(end, found)
        if end is not None and cut:
            tokens, finish, stop_reason = tokens[: end.at], end.finish, end.stop_reason
        if finish is None:
            raise EngineError(f"vLLM ended the request with {found.finish_reason!r}.")
        text = found.text
        if cut or params.whole_tokens or not params.stop:
            text = self._decoder.decode(prompt.token_ids, tokens)
        scores = found.scores(len(tokens))
        return Completion(
            token_ids=tokens,
            text=text,
            finish=finish,
            stop_reason=stop_reason,
            mean_logprob=scores.mean_logprob,
            token_logprobs=scores.logprobs,
            token_confidences=scores.confidences,
            self_certainty=scores.self_certainty,
            seed=params.seed,
            weight_version=version,
            thinking_open=prompt.thinking_open,
            usage=Usage(
                prompt_tokens=len(prompt.token_ids) - found.cached,
                cached_tokens=found.cached,
                decode_tokens=len(found.tokens),
                seconds=seconds,
                requests=1,
            ),
        )

    def _why_dead(self) -> str:
        cause = root_cause(self._log)
        return f"vLLM died: {cause}" if cause else "vLLM died."

    async def aclose(self) -> None:
        if self._llm is None:
            return
        llm, self._llm = self._llm, None
        self._gate.refuse("the engine was closed.")
        await asyncio.to_thread(llm.shutdown)
        # its __del__ shuts down once more, when the interpreter has taken its module apart
        llm.shutdown = lambda timeout=None: None
        if self._log is not None:
            self._log.unlink(missing_ok=True)


def _lora_request(config: EngineConfig) -> Any:
    """The adapter that every request names, or None."""
    if config.lora is None:
        return None
    from vllm.lora.request import LoRARequest

    return LoRARequest("adapter", 1, str(adapter_folder(config.lora)))
