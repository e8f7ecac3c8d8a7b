"""The engine that speaks to servers: any that are compatible with OpenAI's API."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from reasonbench.engines import SERVED
from reasonbench.engines import info as model_info
from reasonbench.engines.base import EngineError, Watch
from reasonbench.engines.chat import plain_text
from reasonbench.engines.config import EngineConfig
from reasonbench.engines.ending import Ending, ending
from reasonbench.engines.locate import Located, locate
from reasonbench.engines.needs import Needs
from reasonbench.engines.openai_answers import Answer
from reasonbench.engines.openai_calls import Attempt, Calls
from reasonbench.engines.openai_probe import Probe
from reasonbench.engines.openai_requests import ChatPrompt, request
from reasonbench.engines.openai_served import Options, Served, lacks, options
from reasonbench.engines.openai_tokenizer import LocalTokens, Tokens
from reasonbench.errors import UsageError
from reasonbench.types import (
    Completion,
    Message,
    ModelInfo,
    Prompt,
    RequestKey,
    SamplingParams,
    Usage,
)

IN_FLIGHT = 512
"""Requests at once at each server, at most, by default."""


async def open_engine(config: EngineConfig) -> OpenaiEngine:
    """Find out what the servers offer.

    Raises:
        UsageError: no server, a wrong key, no such model, or an option that makes no sense.
    """
    own = options(config.engine_args)
    urls = base_urls(config.base_url)
    key = api_key(config.api_key_env)
    if key is not None and any(key in written for written in (*urls, str(config.engine_args))):
        raise UsageError(
            f"the key in {config.api_key_env} stands in --base-url or an engine argument too, and "
            "these are written to the run: leave it out there."
        )
    model = config.model.removeprefix(SERVED)
    if not model:
        raise UsageError("name the served model: --model openai:NAME.")
    calls = Calls(urls, key, own, config.max_in_flight or IN_FLIGHT)
    try:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        served, tokens = await Probe(calls, urls, headers, config, own).find(model)
    except BaseException:
        await calls.aclose()
        raise
    return OpenaiEngine(config, own, urls, served, tokens, calls)


def base_urls(given: Sequence[str]) -> list[str]:
    """The base URLs, without a slash at their end.

    Raises:
        UsageError: none, or one that cannot be used.
    """
    urls = [one.strip().rstrip("/") for text in given for one in text.split(",") if one.strip()]
    if not urls:
        raise UsageError(
            "a served model needs --base-url: http://HOST:PORT/v1 (several with commas)."
        )
    for url in urls:
        # before anything else is said of it, so that no message holds the password
        if "@" in url or "?" in url or "#" in url:
            raise UsageError(
                "--base-url should hold neither a password nor parameters: they would be written "
                "to the run; a key is read from the environment (OPENAI_API_KEY)."
            )
        try:
            parts = urlsplit(url)
            usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:  # a port beyond 65535, or half an IPv6 address
            usable = False
        if not usable:
            raise UsageError(f"--base-url {url} should look like http://HOST:PORT/v1.")
    return list(dict.fromkeys(urls))


def api_key(name: str) -> str | None:
    """The key in an environment variable; None where it is not set.

    Raises:
        UsageError: no header can carry it.
    """
    key = os.environ.get(name, "").strip()
    if not (key.isascii() and key.isprintable()):
        raise UsageError(f"the key in {name} holds characters that no key has.")
    return key or None


class OpenaiEngine:
    """See `reasonbench.engines.base.Engine`.

    With a tokenizer prompts are token ids, or text where the server takes no ids, on the
    completions route. Without one conversations go to the chat route, and have no token ids.

    Attributes:
        served: what the servers can do.
    """

    def __init__(
        self,
        config: EngineConfig,
        own: Options,
        urls: Sequence[str],
        served: Served,
        tokens: Tokens | None,
        calls: Calls,
    ) -> None:
        self.served = served
        self.aborted = Usage()
        most = config.max_in_flight or IN_FLIGHT
        self.in_flight = most * len(urls)
        self._options = own
        self._urls = list(urls)
        self._tokens = tokens
        calls.equal = served.repeats
        self._calls = calls
        self._closed = False
        located, facts = _known(served, config)
        version = " ".join(filter(None, (served.server, served.version)))
        self.info = ModelInfo(
            model=config.model,
            engine="openai",
            engine_version=version,
            revision=located.revision if located else None,
            quantization=facts.quantization,
            parameters=facts.parameters,
            active_parameters=facts.active_parameters,
            layers=facts.layers,
            hidden_size=facts.hidden_size,
            chat_template=bool(served.chat) if tokens is None else tokens.has_template,
        )
        self.notice: str | None = None
        if tokens is None:
            self.notice = (
                f"no tokenizer of {served.model} is known: prompts go as "
                f"{'conversations' if served.chat else 'text'}, and searches cannot be run."
            )

    @property
    def recorded(self) -> dict[str, Any]:
        """What the run's stack says of the servers: never a key."""
        return {"base_url": self._urls, **asdict(self.served)}

    def lacks(self, needs: Needs) -> str | None:
        """The first thing that strategies need and the servers do not give, or None."""
        return lacks(self.served, needs)

    def render(
        self,
        messages: Sequence[Message],
        *,
        thinking: bool | None = None,
        chat: bool | None = None,
    ) -> Prompt:
        if self._tokens is not None:
            return self._tokens.render(messages, thinking=thinking, chat=chat)
        if not messages:
            raise UsageError("a prompt needs at least one message.")
        talks = bool(self.served.chat) if chat is None else chat
        if not talks:
            return Prompt((), plain_text(messages))
        if not self.served.chat:
            raise UsageError(f"{self.served.model} is served without a chat route.")
        text = "\n\n".join(f"{message.role}: {message.content}" for message in messages)
        return ChatPrompt((), text, False, tuple(messages), thinking)

    def encode(self, text: str) -> tuple[int, ...]:
        return self._known_tokens().encode(text)

    def decode(self, before: Sequence[int], tokens: Sequence[int]) -> str:
        return self._known_tokens().decode(before, tokens)

    def _known_tokens(self) -> Tokens:
        if self._tokens is None:
            raise EngineError(f"the tokenizer of {self.served.model} is not known.")
        return self._tokens

    def max_model_len(self) -> int:
        return self.served.max_model_len or 1 << 31

    async def sample(
        self,
        prompt: Prompt,
        params: SamplingParams,
        key: RequestKey,
        watch: Watch | None = None,
    ) -> Completion:
        self._check(prompt, params)
        end = None
        if watch is not None or params.stop_pattern is not None:
            end = ending(params, watch, self._decode_after(prompt))
        reading = _Reading(params, end, hidden=self._options.hidden_reasoning)
        asked = request(
            self.served, prompt, params, self._options.extra_body, streamed=end is not None
        )
        try:
            answer, seconds = await self._calls.complete(asked, reading.begin, _number(key))
        except BaseException:
            self._count(reading, prompt)
            raise
        return self._completion(prompt, params, answer, end, seconds)

    def _check(self, prompt: Prompt, params: SamplingParams) -> None:
        """Raises:
        EngineError: the servers cannot serve the request, or nothing is left to write.
        """
        if self._closed:
            raise EngineError("the engine was closed.")
        if params.self_certainty or params.logprobs == "processed":
            raise EngineError("servers give no self-certainty and no processed log-probabilities.")
        if params.stop_pattern is not None and not isinstance(self._tokens, LocalTokens):
            raise EngineError("ending a completion by a pattern takes a tokenizer of one's own.")
        if isinstance(prompt, ChatPrompt):
            return
        if not self.served.completions:
            raise EngineError(f"{self.served.model} is served without a completions route.")
        if len(prompt.token_ids) >= self.max_model_len():
            raise EngineError(
                f"the prompt's {len(prompt.token_ids)} tokens leave none of "
                f"{self.max_model_len()} to write."
            )

    def _decode_after(self, prompt: Prompt) -> Any:
        """Decodes what follows a prompt, for patterns; see `Decoder.after`."""
        if isinstance(self._tokens, LocalTokens):
            return self._tokens.decoder.after(prompt.token_ids)
        return None

    def _count(self, reading: _Reading, prompt: Prompt) -> None:
        """Note what a request had used that nobody waits for any more, as far as is known."""
        answer = reading.answer
        if answer is None:
            return
        tokens = len(answer.tokens)
        self.aborted += Usage(
            prompt_tokens=len(prompt.token_ids) if tokens else 0, decode_tokens=tokens, requests=1
        )

    def _completion(
        self,
        prompt: Prompt,
        params: SamplingParams,
        answer: Answer,
        end: Ending | None,
        seconds: float,
    ) -> Completion:
        """The completion of a finished request, cut where its pattern or its watch ends it."""
        tokens, finish, stop_reason = tuple(answer.tokens), answer.finish, answer.stop_reason
        text = answer.written
        assert finish is not None
        known = not isinstance(prompt, ChatPrompt) and not answer.unseen
        if not tokens and self._tokens is not None and known:
            tokens = self._tokens.encode(text)
        cut = end is not None and end.at is not None
        if end is not None and cut:
            tokens, finish, stop_reason = tokens[: end.at], end.finish, end.stop_reason
        local = isinstance(self._tokens, LocalTokens) and bool(answer.tokens)
        if self._tokens is not None and (
            cut or (local and (params.whole_tokens or not params.stop))
        ):
            text = self._tokens.decode(prompt.token_ids, tokens)
        scores = tuple(answer.logprobs[: len(tokens)] if cut else answer.logprobs)
        aligned = bool(scores) and len(scores) == len(tokens)
        confidences = tuple(answer.confidences[: len(scores)]) if params.top_logprobs else None
        counted = answer.counted
        if counted is None and known:
            counted = len(answer.tokens or tokens)
        read = answer.prompt_tokens or len(prompt.token_ids)
        return Completion(
            token_ids=tokens,
            text=text,
            finish=finish,
            stop_reason=stop_reason,
            mean_logprob=sum(scores) / len(scores) if scores and params.logprobs else None,
            token_logprobs=scores if aligned and params.logprobs else None,
            token_confidences=confidences or None,
            seed=params.seed,
            thinking_open=prompt.thinking_open,
            usage=Usage(
                prompt_tokens=max(0, read - answer.cached_tokens),
                cached_tokens=answer.cached_tokens,
                decode_tokens=counted or 0,
                seconds=seconds,
                requests=1,
            ),
        )

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            await self._calls.aclose()


class _Reading:
    """Reads the answers to one request, however often it is sent.

    Attributes:
        answer: to the last sending; None before the first.
    """

    def __init__(self, params: SamplingParams, end: Ending | None, *, hidden: bool) -> None:
        self.answer: Answer | None = None
        self._top = params.top_logprobs
        self._hidden = hidden
        self._end = end
        self._told: list[int] = []

    def begin(self) -> Attempt:
        """One sending. What ends it must not hear of tokens twice: equal ones are skipped."""
        answer = self.answer = Answer(self._top, hidden=self._hidden)
        end, read = self._end, 0

        def chunk(found: Mapping[str, Any]) -> bool:
            nonlocal read
            answer.add(found)
            if end is None or end.at is not None:
                return end is not None
            while read < len(answer.tokens):
                token = answer.tokens[read]
                read += 1
                if read <= len(self._told):
                    if token != self._told[read - 1]:
                        raise EngineError(
                            "a request that was cut and sent again gave other tokens: it cannot "
                            "be watched."
                        )
                    continue
                self._told.append(token)
                score = answer.confidences[read - 1] if read <= len(answer.confidences) else None
                if end.feed(token, score):
                    return self._ended(answer, read, end)
            return False

        return Attempt(answer, None if end is None else chunk)

    def _ended(self, answer: Answer, read: int, end: Ending) -> bool:
        """Whether the request is ended here; not where it ends by itself with this token.

        A pattern goes before a limit, and everything goes before a watch.
        """
        last = read == len(answer.tokens) and answer.finish is not None
        if last and (answer.finish == "stop" or end.finish == "aborted"):
            end.at = None
            return False
        answer.finish = end.finish
        return True


def _number(key: RequestKey) -> int:
    """Equal for the requests of one problem, which begin alike."""
    name = f"{key.benchmark}\0{key.problem_id}".encode()
    return int.from_bytes(blake2b(name, digest_size=4).digest(), "big")


def _known(served: Served, config: EngineConfig) -> tuple[Located | None, model_info.Facts]:
    """What can be read here of the model that is served."""
    for name in (served.root, config.tokenizer):
        if name is not None and Path(name).expanduser().is_dir():
            try:
                located = locate(name)
            except UsageError:  # a tokenizer alone
                continue
            return located, model_info.inspect(located)
    return None, model_info.Facts()
