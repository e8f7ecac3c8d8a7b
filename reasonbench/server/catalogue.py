"""Which strategies are served, and by which names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from reasonbench import needs, strategies
from reasonbench.engines.base import Engine
from reasonbench.engines.needs import Needs
from reasonbench.errors import UsageError
from reasonbench.server.errors import ApiError
from reasonbench.strategies import AnyStrategy, Search, spell
from reasonbench.strategies.base import REWARD
from reasonbench.types import Question

_ANY = ("cot@1", "maj@8", "asc@16", "bon@8", "wbon@8", "beam@8")
"""What is listed where every strategy is served."""

_OPERATORS = frozenset({"prompt", "shots", "exemplars", "step_pattern"})
"""Options that a client may not choose: the messages are the prompt, a file is the operator's, and
so is a pattern that a text can keep busy for ever."""


class Catalogue:
    """The strategies that a client may name as `model`.

    Args:
        specs: those that are served; none for any.
        reward: whether a reward is there.
        most: the largest n of a strategy that a client spells itself.

    Raises:
        UsageError: one of the specs cannot be served.
    """

    def __init__(self, specs: Iterable[str], *, reward: bool, most: int = 64) -> None:
        self._reward = reward
        self._most = most
        self._listed: dict[str, AnyStrategy] = {}
        self._lacks: Callable[[Needs], str | None] | None = None
        for spec in specs:
            strategy = self._with_reward(strategies.parse(spec))
            self._check(spec, strategy)
            for name in (spec, spell(strategies.parse(spec))):
                self._listed[name] = strategy
        self._open = not self._listed

    def fit(self, engine: Engine) -> None:
        """Serve no more than an engine can do.

        Raises:
            UsageError: one of the strategies that were asked for takes more.
        """
        self._lacks = getattr(engine, "lacks", None)
        for name, strategy in self._listed.items():
            self._check(name, strategy)

    @property
    def names(self) -> list[str]:
        """What is listed: each once, as it was given."""
        if not self._open:
            found: dict[AnyStrategy, str] = {}
            for name, strategy in self._listed.items():
                found.setdefault(strategy, name)
            return list(found.values())
        return [name for name in _ANY if self._servable(name)]

    def find(self, name: str) -> AnyStrategy:
        """The strategy of a name.

        Raises:
            ApiError: 404 where there is none, 400 where it cannot be served.
        """
        if name in self._listed:
            return self._listed[name]
        try:
            strategy = strategies.parse(name)
        except UsageError as error:
            raise ApiError(
                404, f"there is no model {name[:200]!r}: {error}"[:600], param="model",
                code="model_not_found",
            ) from None  # fmt: skip
        if not self._open:
            if spell(strategy) in self._listed:
                return self._listed[spell(strategy)]
            raise ApiError(
                404, f"the model {name[:200]!r} is not served here; there are: "
                f"{', '.join(self.names)}.", param="model", code="model_not_found",
            )  # fmt: skip
        own = _OPERATORS & strategy.model_fields_set
        try:
            if own:
                raise UsageError(f"{name}: {min(own)} is for the server's operator to set.")
            if strategy.n > self._most:
                raise UsageError(f"{name}: at most {self._most} samples are served a call.")
            strategy = self._with_reward(strategy)
            self._check(name, strategy)
        except UsageError as error:
            raise ApiError(400, str(error), param="model", code="unsupported_value") from None
        return strategy

    def _with_reward(self, strategy: AnyStrategy) -> AnyStrategy:
        return strategy.with_reward() if self._reward else strategy

    def _servable(self, name: str) -> bool:
        try:
            self._check(name, self._with_reward(strategies.parse(name)))
        except UsageError:
            return False
        return True

    def _check(self, name: str, strategy: AnyStrategy) -> None:
        """Raises:
        UsageError: it needs what is not there.
        """
        if strategy.name == "oracle":
            raise UsageError(f"{name} needs the reference answer, which no question here has.")
        if strategy.scorer == "recorded":
            raise UsageError(f"{name}: recorded scores are read by `reasonbench score` only.")
        searching = isinstance(strategy, Search) and strategy.needs_reward
        if not self._reward and (searching or strategy.scorer == REWARD):
            raise UsageError(f"{name} needs a reward: start the server with --reward MODEL.")
        strategy.check(_QUESTIONS)
        if self._lacks is None:
            return
        cuts, thinking = bool(strategy.top_k or strategy.min_p), strategy.thinking is not None
        if why := self._lacks(needs.asked(strategy, thinking=thinking, chat=None, cuts=cuts)):
            raise UsageError(f"{name} {why}.")


_QUESTIONS: Sequence[Question] = (Question("", "questions", ""),)
"""What every question looks like to a strategy: no program is asked for, and no test is there."""
