"""What Prometheus reads."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from reasonbench.server.answer import Answer

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500)


class Metrics:
    """The counters of one server. Strategies are told apart by name, so that clients cannot make
    series without end."""

    def __init__(self, calls: Callable[[], int], requests: Callable[[], int]) -> None:
        """Args:
        calls: how many are being answered.
        requests: how many the engine is serving.
        """
        self._registry = CollectorRegistry()
        self._calls = Counter(
            "reasonbench_calls", "Calls by outcome.", ("strategy", "status"),
            registry=self._registry,
        )  # fmt: skip
        self._tokens = Counter(
            "reasonbench_tokens", "Tokens by kind.", ("strategy", "kind"), registry=self._registry
        )
        self._uncounted = Counter(
            "reasonbench_uncounted_calls", "Answered calls with tokens that nobody counted.",
            ("strategy",), registry=self._registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "reasonbench_call_seconds", "Wall-clock seconds of answered calls.", ("strategy",),
            buckets=_SECONDS, registry=self._registry,
        )  # fmt: skip
        for name, what, read in (
            ("reasonbench_calls_in_flight", "Calls being answered.", calls),
            ("reasonbench_engine_requests_in_flight", "Requests in the engine.", requests),
        ):
            Gauge(name, what, registry=self._registry).set_function(read)

    def ended(self, strategy: str, status: str) -> None:
        """One call ended: with a status of HTTP, or "gone" where its client hung up."""
        self._calls.labels(strategy, status).inc()

    def answered(self, strategy: str, answer: Answer) -> None:
        """What an answer took."""
        used = answer.usage
        for kind, count in (
            ("prompt", answer.prompt_tokens),
            ("decode", used.decode_tokens),
            ("reward", used.reward_tokens),
        ):
            self._tokens.labels(strategy, kind).inc(count)
        self._uncounted.labels(strategy).inc(answer.uncounted)
        self._seconds.labels(strategy).observe(answer.seconds)

    def text(self) -> bytes:
        """All of them, in Prometheus' format: ours, those of the process, and those of an engine
        inside it that keeps any (vLLM with `disable_log_stats=false`)."""
        return generate_latest(self._registry) + generate_latest(REGISTRY)
