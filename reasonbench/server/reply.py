"""The answer to one call on the wire: JSON at once, or chunks; a client that hangs up ends it."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any

from reasonbench.engines.base import EngineDeadError
from reasonbench.errors import UsageError
from reasonbench.runs.codec import storable
from reasonbench.server.answer import Answer, shown, usage_json
from reasonbench.server.ask import Ask
from reasonbench.server.errors import ApiError

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

KEEP_ALIVE = 10.0
"""Seconds after which a stream that has nothing to say sends a comment, so that nobody between it
and the client takes it for dead."""

_PIECE = 48
"""Characters of a chunk, about: it ends with a word."""

_log = logging.getLogger(__name__)


class Reply:
    """An ASGI application that answers one call.

    Args:
        ask: the call.
        solve: answers it.
        ended: is told the status, and the answer where there is one, when all is over; the status
            is "gone" where the client hung up.
        died: is told why the engine died.
    """

    def __init__(
        self,
        ask: Ask,
        solve: Callable[[], Awaitable[Answer]],
        ended: Callable[[str, Answer | None], None],
        died: Callable[[str], None],
    ) -> None:
        self._ask = ask
        self._solve = solve
        self._ended = ended
        self._died = died
        self._id = f"chatcmpl-{secrets.token_hex(12)}"
        self._created = int(time.time())

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        work = asyncio.ensure_future(self._solve())
        gone = asyncio.ensure_future(_hung_up(receive))
        status, answer = "gone", None
        try:
            if self._ask.stream:
                await _start(send, 200, "text/event-stream; charset=utf-8")
            while not work.done() and not gone.done():
                await asyncio.wait(
                    {work, gone}, timeout=KEEP_ALIVE, return_when=asyncio.FIRST_COMPLETED
                )
                if self._ask.stream and not work.done() and not gone.done():
                    await _body(send, b": working\n\n", more=True)
            if not work.done():
                return
            try:
                answer = work.result()
            except Exception as error:
                failed = self._error(error)
                status = str(failed.status)
                await self._send_error(failed, send)
            else:
                status = "200"
                await self._send(answer, send)
        finally:
            for task in (work, gone):
                task.cancel()
            await asyncio.gather(work, gone, return_exceptions=True)
            self._ended(status, answer)

    def _error(self, error: Exception) -> ApiError:
        if isinstance(error, ApiError):
            return error
        if isinstance(error, UsageError):  # a conversation that a search makes of this one
            return ApiError(400, str(error), code="invalid_value")
        if isinstance(error, EngineDeadError):
            self._died(str(error))
            return ApiError(503, f"the engine died: {error}", code="engine_dead")
        _log.error("a call failed", exc_info=error)
        name = type(error).__name__
        return ApiError(500, f"the call failed inside the server ({name}).", code="internal_error")

    async def _send_error(self, error: ApiError, send: Send) -> None:
        if self._ask.stream:  # its headers are out
            await _body(send, _event(error.body()) + _DONE)
        else:
            await _whole(send, error.status, error.body())

    async def _send(self, answer: Answer, send: Send) -> None:
        if not self._ask.stream:
            await _whole(send, 200, self._completion(answer))
            return
        for chunk in self._chunks(answer):
            await _body(send, _event(chunk), more=True)
        await _body(send, _DONE)

    def _completion(self, answer: Answer) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": answer.content, "refusal": None}
        if answer.reasoning is not None:
            message["reasoning_content"] = answer.reasoning
        choice = {
            "index": 0, "message": message, "logprobs": None, "finish_reason": answer.finish,
        }  # fmt: skip
        found = self._head("chat.completion") | {"choices": [choice], "usage": usage_json(answer)}
        if self._ask.candidates:
            found["candidates"] = shown(answer.candidates, answer.chosen)
        return found

    def _chunks(self, answer: Answer) -> Iterator[dict[str, Any]]:
        usage = {"usage": None} if self._ask.include_usage else {}

        def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
            return self._head("chat.completion.chunk") | {"choices": [choice], **usage}

        yield chunk({"role": "assistant", "content": ""})
        for piece in pieces(answer.reasoning or ""):
            yield chunk({"reasoning_content": piece})
        for piece in pieces(answer.content):
            yield chunk({"content": piece})
        last = chunk({}, answer.finish)
        if self._ask.candidates:
            last["candidates"] = shown(answer.candidates, answer.chosen)
        yield last
        if self._ask.include_usage:
            head = self._head("chat.completion.chunk")
            yield head | {"choices": [], "usage": usage_json(answer)}

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": self._id, "object": kind, "created": self._created, "model": self._ask.model,
        }  # fmt: skip


def pieces(text: str) -> Iterator[str]:
    """A text in parts that end with a word; together they are the text."""
    part = ""
    for word in re.findall(r"\S+\s*|\s+", text):
        part += word
        if len(part) >= _PIECE:
            yield part
            part = ""
    if part:
        yield part


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


_DONE = b"data: [DONE]\n\n"


def _event(data: Any) -> bytes:
    return f"data: {as_json(data)}\n\n".encode()


def as_json(data: Any) -> str:
    """JSON in which NaN and infinity are null, and a lone surrogate is U+FFFD."""
    text = json.dumps(_finite(data), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return storable(text)


def _finite(data: Any) -> Any:
    if isinstance(data, float):
        return data if abs(data) < float("inf") else None
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    return [_finite(value) for value in data] if isinstance(data, list) else data


async def _start(send: Send, status: int, kind: str, length: int | None = None) -> None:
    headers = [(b"content-type", kind.encode()), (b"cache-control", b"no-cache")]
    if length is not None:
        headers.append((b"content-length", str(length).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def _body(send: Send, body: bytes, *, more: bool = False) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})


async def _whole(send: Send, status: int, data: Any) -> None:
    body = as_json(data).encode()
    await _start(send, status, "application/json", len(body))
    await _body(send, body)
