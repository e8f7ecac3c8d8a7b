"""The tokenizer of a model that is served elsewhere: here, or there."""

from __future__ import annotations

import http.client
import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from reasonbench.engines.base import EngineError
from reasonbench.engines.chat import Renderer, plain_text, thinking_open
from reasonbench.engines.decoder import Decoder
from reasonbench.engines.openai_failure import Failure, hide, of_status, pause
from reasonbench.engines.openai_http import bounded
from reasonbench.errors import UsageError
from reasonbench.types import Message, Prompt

_TRIES = 12
_PATIENCE = 0.25
_LONGEST = 30.0
"""Seconds that such a request may take: at first, twice as many each time, and at most."""


class Tokens(Protocol):
    """What the engine needs of a tokenizer."""

    has_template: bool

    def render(
        self, messages: Sequence[Message], *, thinking: bool | None, chat: bool | None
    ) -> Prompt:
        """See `Engine.render`."""
        ...

    def encode(self, text: str) -> tuple[int, ...]:
        """See `Engine.encode`."""
        ...

    def decode(self, before: Sequence[int], tokens: Sequence[int]) -> str:
        """See `Engine.decode`."""
        ...


class LocalTokens:
    """A tokenizer of transformers.

    Args:
        tokenizer: of transformers.
        model: what it is called in errors.
    """

    def __init__(self, tokenizer: Any, model: str) -> None:
        self._renderer = Renderer(tokenizer, model)
        self.decoder = Decoder(tokenizer)
        self.has_template = self._renderer.has_template

    def render(
        self, messages: Sequence[Message], *, thinking: bool | None, chat: bool | None
    ) -> Prompt:
        return self._renderer.render(messages, thinking=thinking, chat=chat)

    def encode(self, text: str) -> tuple[int, ...]:
        return self._renderer.encode(text, special=False)

    def decode(self, before: Sequence[int], tokens: Sequence[int]) -> str:
        return self.decoder.decode(before, tokens)


class ServedTokens:
    """The server's own tokenizer, by its routes /tokenize and /detokenize.

    Every call is a short request that the whole program waits for, so answers are kept; prompts
    are rendered once for each problem anyway.

    Args:
        url: of the server, without /v1.
        model: its name there.
        has_template: whether the server renders conversations.
    """

    def __init__(
        self, url: str, model: str, headers: Mapping[str, str], *, has_template: bool
    ) -> None:
        self._ask = _Asking(url, headers)
        self._model = model
        self.has_template = has_template
        self.encode: Callable[[str], tuple[int, ...]] = lru_cache(4096)(self._encode)
        self._text = lru_cache(4096)(self._detokenized)
        self._rendered = lru_cache(1024)(self._render)

    def render(
        self, messages: Sequence[Message], *, thinking: bool | None, chat: bool | None
    ) -> Prompt:
        return self._rendered(tuple(messages), thinking, chat)

    def _render(
        self, messages: tuple[Message, ...], thinking: bool | None, chat: bool | None
    ) -> Prompt:
        if not messages:
            raise UsageError("a prompt needs at least one message.")
        if chat and not self.has_template:
            raise UsageError(f"{self._model} is served without a chat template: ask without chat.")
        if not (self.has_template if chat is None else chat):
            text = plain_text(messages)
            body: dict[str, Any] = {"prompt": text, "add_special_tokens": True}
            return Prompt(self._tokenized(body), text, False)
        continued = messages[-1].role == "assistant"
        asked = {
            "messages": [message._asdict() for message in messages],
            "add_generation_prompt": not continued,
            "continue_final_message": continued,
        }
        if thinking is not None:
            asked["chat_template_kwargs"] = {"enable_thinking": thinking}
        tokens = self._tokenized(asked)
        text = self._text(tokens)
        return Prompt(tokens, text, thinking_open(text, messages))

    def decode(self, before: Sequence[int], tokens: Sequence[int]) -> str:
        if not tokens:
            return ""
        last = tuple(before[-4:])
        return self._text((*last, *tokens))[len(self._text(last)) if last else 0 :]

    def _encode(self, text: str) -> tuple[int, ...]:
        return self._tokenized({"prompt": text, "add_special_tokens": False})

    def _tokenized(self, body: Mapping[str, Any]) -> tuple[int, ...]:
        found = self._ask("/tokenize", {"model": self._model, **body}).get("tokens")
        if not isinstance(found, list) or any(type(token) is not int for token in found):
            raise EngineError("/tokenize answered no list of tokens.")
        return tuple(found)

    def _detokenized(self, tokens: tuple[int, ...]) -> str:
        body = {"model": self._model, "tokens": list(tokens)}
        found = self._ask("/detokenize", body).get("prompt")
        if not isinstance(found, str):
            raise EngineError("/detokenize answered no text.")
        return found


class _Asking:
    """Blocking requests over one connection, sent again where they fail."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._url = urlsplit(url)
        self._headers = {"Content-Type": "application/json", **headers}
        self._key = headers.get("Authorization", "").removeprefix("Bearer ")
        self._connection: http.client.HTTPConnection | None = None
        self._dice = random.Random()

    def __call__(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Raises:
        EngineError: it is refused, or failed too often.
        """
        data = json.dumps(body, ensure_ascii=False).encode()
        for attempt in range(_TRIES):
            try:
                return self._once(self._url.path + path, data, _PATIENCE * 2**attempt)
            except Failure as failure:
                if failure.kind in ("final", "fatal") or attempt == _TRIES - 1:
                    said = hide(failure.sentence, self._key)
                    # a chain of errors would show what was hidden
                    raise EngineError(f"{path} failed ({said}).") from None
                time.sleep(pause(attempt, failure, self._dice))
        raise AssertionError

    def _once(self, path: str, data: bytes, patience: float) -> dict[str, Any]:
        """One sending, which may take so many seconds."""
        end = time.monotonic() + min(patience, _LONGEST)
        if self._connection is None:
            https = self._url.scheme == "https"
            kind = http.client.HTTPSConnection if https else http.client.HTTPConnection
            self._connection = kind(self._url.hostname or "", self._url.port)
        connection = self._connection
        try:
            connection.timeout = min(patience, _LONGEST)
            if connection.sock is not None:
                connection.sock.settimeout(connection.timeout)
            connection.request("POST", path, data, self._headers)
            answer = connection.getresponse()
            read = bytearray()
            while piece := answer.read1():
                read += piece
                bounded(read)
                if time.monotonic() > end:
                    raise TimeoutError
            if answer.status != 200:
                wait = answer.getheader("Retry-After")
                headers = {} if wait is None else {"Retry-After": wait}
                raise of_status(answer.status, bytes(read), headers)
            if answer.length:
                raise http.client.IncompleteRead(bytes(read))
            found = json.loads(read)
            if not isinstance(found, dict):
                raise ValueError("no object")
        except (OSError, http.client.HTTPException, ValueError, RecursionError) as error:
            self._hang_up()
            raise Failure("broken", f"{type(error).__name__}") from error
        except Failure:
            # an answer that was not read to its end would stand before the next one
            self._hang_up()
            raise
        return found

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def local_tokens(name: str, model: str, *, trust_remote_code: bool, fetch: bool) -> LocalTokens:
    """A tokenizer of transformers by folder or hub id.

    Args:
        fetch: ask the hub where it is not in its cache.

    Raises:
        UsageError: it cannot be had, or transformers is not installed.
    """
    try:
        from transformers import AutoTokenizer
    except ImportError as error:
        raise UsageError(
            "a tokenizer needs transformers (pip install 'reasonbench[train]')."
        ) from error
    folder = Path(name).expanduser()
    source = str(folder.resolve()) if folder.is_dir() else name
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            source,
            trust_remote_code=trust_remote_code,
            local_files_only=folder.is_dir() or not fetch,
        )
    except (OSError, ValueError, KeyError) as error:
        said = str(error).strip().splitlines()
        raise UsageError(
            f"--tokenizer {name} cannot be opened: {said[0] if said else error}"
        ) from (error)
    return LocalTokens(tokenizer, model)
