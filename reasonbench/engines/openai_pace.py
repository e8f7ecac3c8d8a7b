"""When a request has gone unanswered for so long that it is lost."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque

_SEEN = 128
_ENOUGH = 8
_LEAST = 3.0
_PROBE = 15.0
_DOUBT = 0.01
"""Share of the last requests that were lost from which a late one may be lost too."""


class Pace:
    """How long a request may take, judged by the last ones that came back.

    A request is given up on after `factor` times what 95 % of the last 128 took, at least 3
    seconds; each further time it is sent it may take twice as long, up to `timeout`. Equal seeds
    give equal completions, so giving one up costs time and no result. Before eight came back only
    `timeout` counts.

    Attributes:
        probing: requests are short ones, and may take 15 seconds at first.

    Args:
        timeout: seconds that no request may take longer than, counted from sending.
        factor: 0 for nothing but `timeout`.
    """

    def __init__(self, timeout: float, factor: float) -> None:
        self.timeout = timeout
        self.factor = factor
        self.probing = False
        self._lost = 0.0
        self._seen: deque[float] = deque()
        self._sorted: list[float] = []

    def served(self, seconds: float) -> None:
        """A request came back after so many seconds."""
        self._lost -= self._lost / _SEEN
        self._seen.append(seconds)
        insort(self._sorted, seconds)
        if len(self._seen) > _SEEN:
            del self._sorted[bisect_left(self._sorted, self._seen.popleft())]

    def lost(self) -> None:
        """A request was not served, for no good reason."""
        self._lost += (1 - self._lost) / _SEEN

    @property
    def doubtful(self) -> bool:
        """Whether what takes long may well be lost: requests were, lately."""
        return bool(self.factor) and self._lost > _DOUBT

    def allowed(self, attempt: int) -> float:
        """Seconds that a request may take which was sent so often before."""
        doubled = 2 ** min(attempt, 16)
        if self.probing:
            return float(min(self.timeout, _PROBE * doubled))
        if not self.factor or len(self._seen) < _ENOUGH:
            return self.timeout
        return float(min(self.timeout, max(_LEAST, self.factor * self.usual) * doubled))

    @property
    def usual(self) -> float:
        """Seconds in which 95 % came back; without end as long as too few did."""
        if len(self._sorted) < _ENOUGH:
            return math.inf
        return self._sorted[int(0.95 * (len(self._sorted) - 1))]
