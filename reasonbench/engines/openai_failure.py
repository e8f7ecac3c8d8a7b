"""What goes wrong between us and a server, and what is done about it."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Literal, NamedTuple

Kind = Literal["busy", "broken", "dead", "final", "fatal"]
"""busy: it has too much to do (429, 503): fewer requests at once, and again. broken: it failed with
this request (5xx, cut or late answers, broken JSON): again. dead: no connection: again, elsewhere
where there is another URL. final: it refuses this request (4xx). fatal: it refuses all requests
(wrong key, no money left)."""

_LONGEST_WAIT = 300.0
"""Seconds: a Retry-After beyond that is not obeyed to the letter."""

_SLOWEST = 20.0
_SOON = 0.1
_FIRST = {"busy": 0.2, "dead": 0.2}
"""Seconds of the first wait, by kind; each further one is twice as long, up to `_SLOWEST`."""

_QUOTA = ("insufficient_quota", "billing_hard_limit_reached")
_AGAIN = {408, 409, 425}


class Failure(Exception):  # noqa: N818 - it is often no error of ours, and is answered
    """A request that was not served.

    Attributes:
        kind: what is done about it.
        status: of HTTP, or None.
        message: what the server said, or what happened, without a full stop.
        wait: seconds that the server asks for, or None.
    """

    def __init__(
        self, kind: Kind, message: str, status: int | None = None, wait: float | None = None
    ) -> None:
        super().__init__(message)
        self.kind: Kind = kind
        self.message = message
        self.status = status
        self.wait = wait

    @property
    def sentence(self) -> str:
        """With the status before it, without a full stop."""
        return self.message if self.status is None else f"{self.status}: {self.message}"


class Said(NamedTuple):
    """What the body of an error says.

    Attributes:
        message: for people.
        code: for programs ("insufficient_quota"), or "".
        status: where it stands in the body, as in answers of relays, else None.
    """

    message: str
    code: str
    status: int | None


def of_status(status: int, body: bytes, headers: Mapping[str, str]) -> Failure:
    """The failure that an answer with this status is."""
    said = read_error(body)
    message = said.message or f"HTTP status {status}"
    wait = retry_after(headers.get("Retry-After"), time.time())
    return Failure(_kind(status, said.code), message, status, wait)


def in_body(found: Mapping[str, Any]) -> Failure | None:
    """The failure that stands in an answer whose status is 200, or None."""
    if not found.get("error"):
        return None
    said = read_error(json.dumps(found).encode())
    if said.status is None:
        return Failure("broken", said.message or "an error without a message")
    return Failure(_kind(said.status, said.code), said.message, said.status)


def _kind(status: int, code: str) -> Kind:
    if code in _QUOTA or status in (401, 402):
        return "fatal"
    if status in (429, 503):
        return "busy"
    return "broken" if status in _AGAIN or status >= 500 else "final"


def read_error(body: bytes) -> Said:
    """What an error's body says, in the shapes that servers use; one line, at most 500 letters."""
    text = body.decode("utf-8", "replace").strip()
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        # a page of a proxy says little, and nothing in its tags
        return Said(_line(re.sub(r"<[^>]*>", " ", text)), "", None)
    inner = found.get("error", found) if isinstance(found, dict) else found
    if isinstance(inner, dict):
        # TGI has {"error": "…", "error_type": "…"}, FastAPI {"detail": "…"}
        message = inner.get("message") or inner.get("error") or inner.get("detail") or ""
        code, status = inner.get("code") or inner.get("type") or "", inner.get("code")
        if not isinstance(message, str):
            message = json.dumps(message)
        return Said(_line(message), str(code), status if isinstance(status, int) else None)
    return Said(_line(str(inner)), "", None)


def _line(text: str) -> str:
    one = " ".join(text.split()).rstrip(".")
    return one if len(one) <= 500 else one[:497] + "..."


def retry_after(header: str | None, now: float) -> float | None:
    """Seconds that a Retry-After header asks for, in either of its forms; None where it is neither.

    Args:
        now: seconds since 1970.
    """
    if header is None:
        return None
    header = header.strip()
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(header).timestamp() - now
        except (TypeError, ValueError):
            return None
    if not seconds < float("inf"):
        return None
    return min(max(0.0, seconds), _LONGEST_WAIT)


def pause(attempt: int, failure: Failure, dice: random.Random) -> float:
    """Seconds to wait before a request is sent again.

    Exponential from 0.1 s (0.2 s where the server is busy and does not say for how long) to 20 s,
    times a number drawn from [0.5, 1.5) so that requests which failed together do not come back
    together. What the server asks for is the least, and up to a tenth more.

    Args:
        attempt: how often it was sent before this failure, from 0.
    """
    first = _FIRST.get(failure.kind, _SOON) if failure.wait is None else _SOON
    drawn: float = min(_SLOWEST, first * 2 ** min(attempt, 16)) * (0.5 + dice.random())
    if failure.wait is None:
        return drawn
    return max(drawn, failure.wait * (1 + dice.random() / 10))


def hide(text: str, secret: str | None) -> str:
    """The text without a key that a server may have repeated in its message."""
    if not secret:
        return text
    return text.replace(secret, "***")
