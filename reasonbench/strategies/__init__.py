"""Strategies: one file each, spelled `name@n:option=value,…` on the command line.

Third parties register classes under the entry-point group `reasonbench.strategies`.
"""

from __future__ import annotations

import re
from importlib import import_module
from importlib.metadata import entry_points

from pydantic import ValidationError

from reasonbench.errors import UsageError, unknown
from reasonbench.strategies.base import Behaviour, Candidate, Draws, Pooled, Strategy
from reasonbench.strategies.search import Search

__all__ = [
    "BUILTIN",
    "AnyStrategy",
    "Behaviour",
    "Candidate",
    "Draws",
    "Pooled",
    "Search",
    "Strategy",
    "get",
    "names",
    "parse",
]

AnyStrategy = Pooled | Search
"""Draws with a selector, or a search."""

BUILTIN = {
    "cot": "reasonbench.strategies.cot:ChainOfThought",
    "maj": "reasonbench.strategies.maj:Majority",
    "bon": "reasonbench.strategies.bon:BestOfN",
    "wbon": "reasonbench.strategies.wbon:WeightedBestOfN",
    "selfcert": "reasonbench.strategies.selfcert:SelfCertainty",
    "codet": "reasonbench.strategies.codet:CodeT",
    "asc": "reasonbench.strategies.asc:AdaptiveConsistency",
    "esc": "reasonbench.strategies.esc:EarlyStopping",
    "conf": "reasonbench.strategies.conf:DeepConf",
    "oracle": "reasonbench.strategies.oracle:Oracle",
    "beam": "reasonbench.strategies.beam:Beam",
    "dvts": "reasonbench.strategies.dvts:DiverseTrees",
    "lookahead": "reasonbench.strategies.lookahead:Lookahead",
    "rebase": "reasonbench.strategies.rebase:Rebase",
    "particles": "reasonbench.strategies.particles:Particles",
    "mcts": "reasonbench.strategies.mcts:TreeSearch",
    "budget": "reasonbench.strategies.budget:BudgetForcing",
    "revise": "reasonbench.strategies.revise:Revise",
}

_SPEC = re.compile(r"(?P<name>[\w.-]+)(?:@(?P<n>[^:]*))?(?::(?P<options>.+))?", re.DOTALL)


def names() -> list[str]:
    """Every strategy, our own first."""
    return [*BUILTIN, *(e.name for e in entry_points(group="reasonbench.strategies"))]


def get(name: str) -> type[AnyStrategy]:
    """The class of a strategy.

    Raises:
        UsageError: no strategy has this name.
    """
    if name in BUILTIN:
        module, _, attribute = BUILTIN[name].partition(":")
        found: type[AnyStrategy] = getattr(import_module(module), attribute)
        return found
    for entry in entry_points(group="reasonbench.strategies"):
        if entry.name == name:
            loaded: type[AnyStrategy] = entry.load()
            return loaded
    raise unknown("strategy", name, names())


def parse(spec: str, default_n: int = 16) -> AnyStrategy:
    """The strategy that `name@n:option=value,option=value` spells.

    Args:
        spec: as given on the command line; `@n` may be left out.
        default_n: the number of samples where it is; an adaptive strategy has its own.

    Raises:
        UsageError: unknown name or option, n out of range, a value of the wrong kind.
    """
    match = _SPEC.fullmatch(spec.strip())
    if match is None:
        raise UsageError(f"strategy {spec!r} is not of the form name@n:option=value,…")
    cls = get(match["name"])
    default_n = getattr(cls, "most", default_n)
    values: dict[str, object] = {"n": default_n if match["n"] is None else match["n"]}
    options = {f.alias or key for key, f in cls.model_fields.items()} - {"n"}
    for part in filter(None, (match["options"] or "").split(",")):
        key, equals, value = part.partition("=")
        key = key.strip()
        if not equals:
            raise UsageError(f"option {part!r} of strategy {spec!r} is not of the form name=value.")
        if key not in options:
            raise unknown(f"option of strategy {cls.name}", key, options)
        values[key] = value.strip()
    try:
        return cls.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f"{part}: " for part in first["loc"])
        why = first["msg"].removeprefix("Value error, ")
        raise UsageError(f"strategy {spec!r}: {where}{why}.") from None


def spell(strategy: AnyStrategy) -> str:
    """The strategy as `parse` reads it, with the options that differ from their defaults."""
    options = ",".join(f"{key}={_plain(value)}" for key, value in options_of(strategy).items())
    return f"{strategy.name}@{strategy.n}" + (f":{options}" if options else "")


def options_of(strategy: AnyStrategy) -> dict[str, object]:
    """The options that differ from their defaults, n left out."""
    given = strategy.model_dump(exclude_defaults=True, by_alias=True)
    given.pop("n", None)
    return given


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
