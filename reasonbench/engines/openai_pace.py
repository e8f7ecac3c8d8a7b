"""When a request has gone unanswered for so long that it is lost."""

from __future__ import annotations

from collections import deque

_SEEN = 256
_ENOUGH = 8
_LEAST = 3.0


class Pace:
    """How long a request may take, judged by the last ones that came back.

    A request is given up on after `factor` times the longest of the last 256, at least 3 seconds;
    each further time it is sent it may take twice as long, up to `timeout`. Equal seeds give equal
    completions, so giving one up costs time and no result. Before eight came back only `timeout`
    counts.

    Args:
        timeout: seconds that no request may take longer than, counted from sending.
        factor: 0 for nothing but `timeout`.
    """

    def __init__(self, timeout: float, factor: float) -> None:
        self.timeout = timeout
        self.factor = factor
        self._seen: deque[float] = deque(maxlen=_SEEN)
        self._longest = 0.0

    def served(self, seconds: float) -> None:
        """A request came back after so many seconds."""
        falls = len(self._seen) == _SEEN and self._seen[0] >= self._longest
        self._seen.append(seconds)
        self._longest = max(self._seen) if falls else max(self._longest, seconds)

    def allowed(self, attempt: int) -> float:
        """Seconds that a request may take which was sent so often before."""
        if not self.factor or len(self._seen) < _ENOUGH:
            return self.timeout
        longest = max(_LEAST, self.factor * self._longest)
        return float(min(self.timeout, longest * 2 ** min(attempt, 16)))
