"""Whether an engine can do what the strategies of a run need of it."""

from __future__ import annotations

from collections.abc import Sequence

from reasonbench.engines.base import Engine
from reasonbench.engines.needs import Needs
from reasonbench.errors import UsageError
from reasonbench.plan import Pool, Task
from reasonbench.strategies import AnyStrategy, Search, spell
from reasonbench.strategies.adaptive import Adaptive


def of(strategy: AnyStrategy, pool: Pool) -> Needs:
    """What a strategy asks of the engine that its pool is drawn from."""
    cuts = bool(pool.sampling.top_k or pool.sampling.min_p)
    return asked(strategy, thinking=pool.thinking is not None, chat=pool.chat, cuts=cuts)


def asked(strategy: AnyStrategy, *, thinking: bool, chat: bool | None, cuts: bool) -> Needs:
    """What a strategy asks of an engine.

    Args:
        thinking: thinking is switched on or off.
        chat: see `Needs`.
        cuts: it samples with top_k or min_p.
    """
    searching = isinstance(strategy, Search)
    # PUCT's priors are the probabilities of the steps
    priors = getattr(strategy, "form", None) == "puct"
    return Needs(
        continuation=searching,
        pattern=isinstance(strategy, Search) and strategy.step_pattern is not None,
        logprobs=strategy.scorer == "logprob" or priors,
        top_logprobs=strategy.top_logprobs,
        self_certainty=strategy.scorer == "selfcert",
        watch=isinstance(strategy, Adaptive) and strategy.whole < strategy.n,
        thinking=thinking,
        chat=chat,
        cuts=cuts,
    )


def check(engine: Engine, tasks: Sequence[Task]) -> None:
    """Engines that can do everything have no `lacks`; others say there what they cannot.

    Raises:
        UsageError: a strategy needs what the engine lacks.
    """
    lacks = getattr(engine, "lacks", None)
    if lacks is None:
        return
    for task in tasks:
        for strategy, pool in task.strategies:
            if why := lacks(of(strategy, pool)):
                raise UsageError(f"{spell(strategy)} {why}.")
