"""How many requests a server is given at once: found out while it works."""

from __future__ import annotations

import math

START = 16
"""Requests at once to begin with."""

_LEAST = 8
_HOLD = 4
"""Answers that a window needs, however few requests are in flight; and windows that a limit is kept
for, after growing did not pay, until the next step is tried."""

_TRIES = 3
"""Doublings that did not pay after which the limit is no longer doubled."""

_ENOUGH = 16
_KEPT = 400
"""Answers at a limit from which shares of refusals can be compared, and from which on older ones
count half."""

_MOST = 0.5
"""Share of refusals from which a server is too busy in any case."""

_SURE = 2.2
"""Standard errors by which shares must differ."""


class Limit:
    """The most requests in flight at one server.

    Growth: time is cut into windows, which last until as many requests as may be in flight, all
    sent in it, were answered. The limit doubles from window to window until that stops to pay
    (`_TRIES` times), then it grows by a quarter of what it was there. A step pays where goodput
    (the limit times the tokens a second of one completion) grows by a fifth of what the limit grew
    by: as long as a server batches, more requests cost it little time; when latency grows as fast
    as the limit, they only queue. Goodput is not counted as tokens in the window's time: what comes
    at its ends, and requests that fail, would make that too uncertain to go by.

    Refusals (429, 503) halve it: the first one, and then those of a server that refuses more than
    half of the requests, or more of them than at half the limit (by a two-sample test over what is
    remembered of each limit). Refusals that are as frequent there do not come of too many requests.

    Attributes:
        value: of now, ≥ 1.
    """

    def __init__(self, most: int, start: int = START) -> None:
        """Args:
        most: never more than this.
        start: to begin with.
        """
        self.most = most
        self.value = min(start, most)
        self._doubling = True
        self._step = 0
        self._hold = self._in_vain = 0
        self._before: tuple[int, float] | None = None
        self._lowered = self._ever = False
        # by the limit's number of bits: all answers, and refusals among them
        self._answers: dict[int, tuple[float, float]] = {}
        self._open(0.0)

    def _open(self, now: float) -> None:
        """Begin a window."""
        self._opened = now
        self._tokens = 0
        self._seconds = 0.0
        self._came = 0
        self._refused = 0
        self._full = False

    def sending(self, in_flight: int, now: float) -> None:
        """A request is sent; so many are in flight with it."""
        if in_flight == 1 and not self._came:
            self._open(now)
        self._full = self._full or in_flight >= self.value

    def served(self, tokens: int, sent: float, now: float) -> None:
        """A request that was sent at a time came back with a completion of so many tokens."""
        if sent >= self._opened:
            self._tokens += max(1, tokens)
            self._seconds += now - sent
        self._note(sent, refused=False)
        self._close(now)

    def refused(self, sent: float, now: float) -> None:
        """The server refused a request that was sent at a time: it is too busy."""
        if sent < self._opened:
            return
        self._note(sent, refused=True)
        if self._too_many():
            self.value = max(1, self.value // 2)
            self._step = max(1, self.value // 4)
            self._lowered = self._ever = True
            self._before, self._hold = None, 0
            self._open(now)
        else:
            self._close(now)

    def _note(self, sent: float, *, refused: bool) -> None:
        if sent < self._opened:
            return
        self._came += 1
        self._refused += refused
        level = self.value.bit_length()
        answers, refusals = self._answers.get(level, (0.0, 0.0))
        if answers >= _KEPT:
            answers, refusals = answers / 2, refusals / 2
        self._answers[level] = (answers + 1, refusals + refused)

    def _too_many(self) -> bool:
        """Whether a refusal says that the limit is too high."""
        if self._lowered and (self._came < _LEAST or self._refused <= self._came / 2):
            return False  # it was just halved: first it is seen what that does
        if not self._ever:
            return True  # nothing is known yet
        level = self.value.bit_length()
        here = self._answers[level]
        if here[0] < _ENOUGH:
            return False
        if here[1] > _MOST * here[0]:
            return True
        below = self._answers.get(level - 1, (0.0, 0.0))
        if below[0] >= _ENOUGH:
            return _more(here, below)
        above = self._answers.get(level + 1, (0.0, 0.0))
        return above[0] >= _ENOUGH and _more(above, here)

    def _close(self, now: float) -> None:
        """Decide, if it is the window's end, and begin the next one."""
        enough = max(_ENOUGH if self._lowered else _LEAST, self.value)
        if self._came < enough or now <= self._opened:
            return
        goodput = self.value * self._tokens / self._seconds if self._seconds > 0 else 0.0
        before, self._before = self._before, None
        if self._lowered:
            # after a halving the way up is short where refusals go on, and slow where they ended
            self._lowered, self._doubling = False, self._refused > 0
            self._hold = 0 if self._doubling else 2
        if before is not None and goodput / before[1] - 1 < 0.2 * (self.value / before[0] - 1):
            self.value, self._in_vain = before[0], self._in_vain + 1
            self._step = max(1, self.value // 4)
            # one window is little to go by, and too low a limit costs more than one too high
            self._doubling = self._doubling and self._in_vain < _TRIES
            self._hold = 0 if self._doubling else _HOLD
        elif self._hold:
            self._hold -= 1
        elif self._full and self.value < self.most and goodput:
            # back to where it began no step needs to pay: only refusals took it below
            self._before = (self.value, goodput) if self.value >= START else None
            more = self.value if self._doubling else max(1, self._step)
            self.value = min(self.most, self.value + more)
        self._open(now)


def _more(here: tuple[float, float], below: tuple[float, float]) -> bool:
    """Whether refusals are more frequent in the first of two (answers, refusals)."""
    share = (here[1] + below[1]) / (here[0] + below[0])
    error = math.sqrt(share * (1 - share) * (1 / here[0] + 1 / below[0]))
    return here[1] / here[0] - below[1] / below[0] > _SURE * error
