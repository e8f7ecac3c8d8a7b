"""How many requests a server is given at once: found out while it works."""

from __future__ import annotations

START = 16
"""Requests at once to begin with."""

_LEAST = 8
"""Completions that a window needs, however few requests are in flight."""

_HOLD = 8
"""Windows that a limit which paid no more is kept before the next step is tried."""


class Limit:
    """The most requests in flight at one server.

    What counts is goodput: tokens of completions a second. It is measured window by window; a
    window lasts until as many requests as may be in flight, all sent after it began, came back.

    Growth: the limit doubles from window to window until that stops to pay, then it grows by an
    eighth of what it was there. A step pays where goodput grows by a fifth of what the limit grew
    by: as long as a server batches, more requests cost it little time, and when latency grows as
    fast as the limit they only queue.

    Refusals (429, 503) halve it, once for all requests that were in flight together. Where goodput
    falls with it, the refusals do not come from too many requests: the limit is taken back to what
    it was, and that share of refusals is put up with.

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
        self._hold = 0
        self._before: tuple[int, float] | None = None
        self._halved = False
        self._goodput: float | None = None
        self._borne = 0.0
        self._halved_at = float("-inf")
        self._open(0.0)

    def _open(self, now: float) -> None:
        """Begin a window."""
        self._opened = now
        self._came = 0
        self._tokens = 0
        self._served = 0
        self._refused = 0
        self._full = False

    def sending(self, in_flight: int, now: float) -> None:
        """A request is sent; so many are in flight with it."""
        if in_flight == 1 and not self._served:
            self._open(now)
        self._full = self._full or in_flight >= self.value

    def served(self, tokens: int, sent: float, now: float) -> None:
        """A request that was sent at a time came back with a completion of so many tokens."""
        self._served += 1
        self._tokens += max(1, tokens)
        if sent >= self._opened:
            self._came += 1
        if self._came >= max(_LEAST, self.value) and now > self._opened:
            self._close(now)

    def refused(self, sent: float, now: float) -> None:
        """The server refused a request that was sent at a time: it is too busy."""
        self._refused += 1
        if sent < self._halved_at or self._is_borne():
            return
        self._before = None
        goodput = self._goodput
        if self._served >= _LEAST and now > self._opened:
            goodput = self._tokens / (now - self._opened)
        if goodput is not None:
            self._before = (self.value, goodput)
        self.value = max(1, self.value // 2)
        self._doubling, self._halved, self._hold = False, True, 0
        self._halved_at = now
        self._open(now)

    def _is_borne(self) -> bool:
        """Whether refusals are no more frequent than what fewer requests did not help against."""
        if not self._borne:
            return False
        return self._refused <= 3 + 1.5 * self._borne * (self._served + self._refused)

    def _close(self, now: float) -> None:
        """Decide at the end of a window, and begin the next one."""
        goodput = self._tokens / (now - self._opened)
        before, self._before = self._before, None
        if self._halved:
            self._halved = False
            if before is not None and goodput < 0.8 * before[1]:
                share = self._refused / (self._served + self._refused)
                self._borne = max(self._borne, share, 0.02)
                self.value, self._doubling = before[0], True
            self._goodput = goodput
            self._open(now)
            return
        if before is not None:
            grown, gained = self.value / before[0] - 1, goodput / before[1] - 1
            if gained < 0.2 * grown:
                self.value, self._hold = before[0], _HOLD
                self._step = max(1, self.value // 8)
                self._doubling = False
                goodput = max(goodput, before[1])
        self._goodput = goodput
        if self._hold:
            self._hold -= 1
        elif self._full and self.value < self.most:
            self._before = (self.value, goodput)
            self._step = self._step or max(1, self.value // 8)
            more = self.value if self._doubling else self._step
            self.value = min(self.most, self.value + more)
        self._open(now)
