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
        thinking=pool.thinking is not None,
        chat=pool.chat,
        cuts=bool(pool.sampling.top_k or pool.sampling.min_p),
    )


def check(engine: Engine, tasks: Sequence[Task], *, judging: bool) -> None:
    """Engines that can do everything have no `lacks`; others say there what they cannot.

    Args:
        judging: the engine is the run's reward too.

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
    if judging and (why := lacks(Needs(tokens=True))):
        raise UsageError(f"--reward policy {why}.")
