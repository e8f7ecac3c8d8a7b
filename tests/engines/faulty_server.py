"""A server that fails: it stands before another one and spoils a share of what passes."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from aiohttp import ClientSession, TCPConnector, web

from tests.engines.loop import BackgroundLoop
from tests.engines.served_model import listen

FAULTS = ("429", "429 date", "500", "503", "hang", "reset", "cut", "broken", "empty", "drip")
"""Refused with seconds or with a date to come back at; failed; silent for a minute; closed before
and in the middle of the answer; half an answer as if it were whole; no answer; byte by byte."""

HOSTILE = ("nested",)
"""Brackets without end, which take a reader of JSON to the bottom of its stack."""

_SPOILS_ANSWER = ("cut", "broken", "drip")
"""Faults of requests that were served behind it."""


class FaultyServer:
    """The server.

    Args:
        behind: base URL of the one that works.
        share: of requests that are spoiled.
        faults: which ones, each as likely.
        seed: decides which request has which.

    Attributes:
        spoiled: how many, by fault.
        passed: how many answers went through whole.
        share, faults: may be changed at any time.
        hang: seconds that it is silent for.
    """

    def __init__(
        self,
        behind: str,
        share: float = 0.3,
        faults: tuple[str, ...] = FAULTS,
        seed: int = 0,
    ) -> None:
        self.share = share
        self.faults = faults
        self.hang = 60.0
        self.spoiled: Counter[str] = Counter()
        self.passed = 0
        self._behind = behind.removesuffix("/v1")
        self._dice = random.Random(seed)
        self._loop = BackgroundLoop()
        self._runner, self.url = self._loop.run(self._start())

    async def _start(self) -> tuple[web.AppRunner, str]:
        self._session = ClientSession(connector=TCPConnector(limit=0), auto_decompress=False)
        app = web.Application(client_max_size=1 << 24)
        app.router.add_route("*", "/{path:.*}", self._handle)
        return await listen(app)

    def close(self) -> None:
        self._loop.run(self._stop())
        self._loop.close()

    async def _stop(self) -> None:
        await self._runner.cleanup()
        await self._session.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        fault = None
        if self._dice.random() < self.share:
            fault = self._dice.choice(self.faults)
            self.spoiled[fault] += 1
        if fault is not None and fault not in _SPOILS_ANSWER:
            return await self._refuse(request, fault)
        async with self._session.request(
            request.method,
            self._behind + request.path_qs,
            data=body,
            headers={k: v for k, v in request.headers.items() if k in _PASSED},
        ) as answer:
            read = await answer.read()
            if fault is not None:
                return await self._spoil(request, fault, read)
            self.passed += 1
            return web.Response(body=read, status=answer.status, content_type=answer.content_type)

    async def _refuse(self, request: web.Request, fault: str) -> web.Response:
        if fault == "hang":
            await asyncio.sleep(self.hang)
        if fault == "reset" or fault == "hang":
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if fault == "nested":
            return web.Response(text="[" * 100_000, content_type="application/json")
        if fault == "empty":
            return web.Response(content_type="application/json")
        if fault == "500":
            return web.Response(status=500, text="<html><h1>Internal Server Error</h1></html>")
        back = "0.05"
        if fault == "429 date":
            back = format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)
        status = 503 if fault == "503" else 429
        headers = {} if fault == "503" else {"Retry-After": back}
        return web.json_response(
            {"error": {"message": "slow down", "code": "rate_limit_exceeded"}},
            status=status,
            headers=headers,
        )

    async def _spoil(self, request: web.Request, fault: str, read: bytes) -> web.StreamResponse:
        half = read[: len(read) // 2]
        if fault == "broken":
            return web.Response(body=half, content_type="application/json")
        response = web.StreamResponse(headers={"Content-Length": str(len(read))})
        await response.prepare(request)
        if fault == "cut":
            await response.write(half)
            assert request.transport is not None
            request.transport.abort()
            return response
        for byte in read:
            await response.write(bytes([byte]))
            await asyncio.sleep(0.5)
        return response


_PASSED = ("Authorization", "Content-Type", "Accept")
