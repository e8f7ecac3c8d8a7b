"""Listening: uvicorn on the event loop of the engine, ended by SIGTERM or Ctrl-C."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import uvicorn

from reasonbench.errors import UsageError

_KEEP_OPEN = 65
"""Seconds that an idle connection stays open: longer than the minute after which usual proxies and
clients let theirs go, so that it is not we who close one that is about to be used."""


class Listener(uvicorn.Server):
    """A server whose signals belong to whoever runs it.

    Args:
        app: an ASGI application.
        host, port: where; port 0 is any free one.
        patience: seconds that calls may still take once it is told to stop; then they are aborted.

    Raises:
        UsageError: the address cannot be listened on.
    """

    def __init__(self, app: Any, host: str, port: int, *, patience: float = 30.0) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=_KEEP_OPEN,
                # 0 would be no limit at all
                timeout_graceful_shutdown=max(1, round(patience)),
            )
        )
        self._socket = _bound(host, port)
        self.port: int = self._socket.getsockname()[1]

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None: uvicorn would raise them anew at the end, before the engine is closed."""
        yield

    def stop(self) -> None:
        """End: at once where it was told so before."""
        self.force_exit = self.should_exit
        self.should_exit = True

    async def run_until_stopped(self) -> None:
        """Serve until `stop`."""
        try:
            await self.serve(sockets=[self._socket])
        finally:
            with suppress(OSError):
                self._socket.close()


def is_local(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        made = socket.socket(family, kind, proto)
    except OSError as error:
        raise UsageError(f"cannot listen on {host}: {error.strerror or error}.") from error
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(2048)
    except OSError as error:
        made.close()
        raise UsageError(f"cannot listen on {host}:{port}: {error.strerror or error}.") from error
    made.setblocking(False)
    return made
