"""The application: routes, the key, limits, and errors in OpenAI's shape."""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from reasonbench.server.answer import Answer
from reasonbench.server.ask import read
from reasonbench.server.catalogue import Catalogue
from reasonbench.server.counted import Counted
from reasonbench.server.errors import ApiError
from reasonbench.server.metrics import CONTENT_TYPE, Metrics
from reasonbench.server.reply import Reply, as_json
from reasonbench.server.solving import Solver

BODY_SECONDS = 30.0
"""How long a client may take to send its body."""

_NONE = "none"
"""The strategy of calls that name none that is served."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a server takes.

    Attributes:
        calls: answered at once; further ones are told to come again.
        body: bytes of a call.
    """

    calls: int = 256
    body: int = 1 << 20


@dataclass(slots=True)
class Service:
    """What the routes share.

    Attributes:
        solver, catalogue: answer calls, and say which.
        engine: the solver's.
        key: that clients must send, or None.
        limits: what is taken.
        died: is told once why the engine died.
        calls: being answered now.
        dead: why the engine died, or None.
    """

    solver: Solver
    catalogue: Catalogue
    engine: Counted
    key: str | None = None
    limits: Limits = field(default_factory=Limits)
    died: Callable[[str], None] = lambda why: None
    calls: int = 0
    dead: str | None = None
    metrics: Metrics = field(init=False)
    created: int = field(default_factory=lambda: int(time.time()))

    def __post_init__(self) -> None:
        self.metrics = Metrics(lambda: self.calls, lambda: self.engine.running)

    async def complete(self, request: Request) -> Any:
        """POST /v1/chat/completions."""
        strategy_name = _NONE
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        try:
            self._admit(request)
            if kind != "application/json":
                raise ApiError(415, "send JSON with the header `Content-Type: application/json`.")
            if self.dead is not None:
                raise ApiError(503, f"the engine died: {self.dead}", code="engine_dead")
            if self.calls >= self.limits.calls:
                raise ApiError(
                    429,
                    f"{self.limits.calls} calls are being answered: come again.",
                    code="rate_limit_exceeded",
                    headers={"Retry-After": "1"},
                )
        except ApiError as error:
            self.metrics.ended(strategy_name, str(error.status))
            raise
        self.calls += 1
        try:
            ask = read(await self._body(request))
            strategy = self.catalogue.find(ask.model)
            strategy_name = strategy.name
            call = self.solver.prepare(ask, strategy)
        except BaseException as error:
            self.calls -= 1
            if isinstance(error, ApiError):
                self.metrics.ended(strategy_name, str(error.status))
            raise

        def ended(status: str, answer: Answer | None) -> None:
            self.calls -= 1
            self.metrics.ended(strategy_name, status)
            if answer is not None:
                self.metrics.answered(strategy_name, answer)

        return Reply(ask, lambda: self.solver.solve(call), ended, self._died)

    async def models(self, request: Request) -> Response:
        """GET /v1/models."""
        self._admit(request)
        data = [
            {"id": name, "object": "model", "created": self.created, "owned_by": "reasonbench"}
            for name in self.catalogue.names
        ]
        return _json(200, {"object": "list", "data": data})

    async def model(self, request: Request) -> Response:
        """GET /v1/models/NAME."""
        self._admit(request)
        name = request.path_params["name"]
        self.catalogue.find(name)
        return _json(
            200, {"id": name, "object": "model", "created": self.created, "owned_by": "reasonbench"}
        )

    async def health(self, request: Request) -> Response:
        """GET /health: open to everybody, and says nothing of calls."""
        if self.dead is not None:
            return _json(503, {"status": "dead"})
        return _json(200, {"status": "ok", "model": self.engine.info.model})

    async def show_metrics(self, request: Request) -> Response:
        """GET /metrics."""
        self._admit(request)
        return Response(self.metrics.text(), headers={"content-type": CONTENT_TYPE})

    def _admit(self, request: Request) -> None:
        """Raises:
        ApiError: 401: the key is missing or wrong.
        """
        if self.key is None:
            return
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        # headers are bytes that were read as Latin-1; it takes as long wherever the two differ
        fits = hmac.compare_digest(given.strip().encode("latin-1"), self.key.encode())
        if scheme.lower() != "bearer" or not fits:
            raise ApiError(
                401,
                "the API key is missing or wrong: send it as `Authorization: Bearer KEY`.",
                code="invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )

    async def _body(self, request: Request) -> bytes:
        """Raises:
        ApiError: 413: it is too long; 408: it takes too long.
        """
        most = self.limits.body
        said = request.headers.get("content-length", "")
        if said.isdecimal() and int(said) > most:
            raise _too_long(most)
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for part in request.stream():
                    body += part
                    if len(body) > most:
                        raise _too_long(most)
        except TimeoutError:
            raise ApiError(408, "the body did not arrive in time.", code="timeout") from None
        return bytes(body)

    def _died(self, why: str) -> None:
        if self.dead is None:
            self.dead = why
            self.died(why)


def application(service: Service) -> Starlette:
    """The ASGI application of a service."""
    return Starlette(
        routes=[
            Route("/v1/chat/completions", service.complete, methods=["POST"]),
            Route("/v1/models", service.models),
            Route("/v1/models/{name:path}", service.model),
            Route("/health", service.health),
            Route("/metrics", service.show_metrics),
        ],
        exception_handlers={
            ApiError: _refused,
            HTTPException: _not_served,
            ClientDisconnect: _gone,
            Exception: _failed,
        },
    )


def _too_long(most: int) -> ApiError:
    return ApiError(413, f"the body has more than {most:,} bytes.", code="body_too_large")


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return _json(error.status, error.body(), error.headers)


async def _not_served(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    what = {
        404: f"there is no {request.url.path[:200]} here.",
        405: f"{request.method} is not served at {request.url.path[:200]}.",
    }.get(error.status_code, f"{error.detail}.")
    found = ApiError(error.status_code, what, code="not_found", headers=error.headers)
    return _json(found.status, found.body(), found.headers)


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=499)  # nobody reads it


async def _failed(request: Request, error: Exception) -> Response:
    _log.error("a call failed", exc_info=error)
    message = f"the call failed inside the server ({type(error).__name__})."
    return _json(500, ApiError(500, message, code="internal_error").body())


def _json(status: int, data: Any, headers: dict[str, str] | None = None) -> Response:
    return Response(as_json(data), status, headers, media_type="application/json")
