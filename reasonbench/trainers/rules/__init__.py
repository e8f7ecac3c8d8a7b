"""Rewards by rule, spelled `name:weight,option=value,…`; the package needs no torch.

`make_rules(["accuracy:1", "format:0.5", "language:0.1,target=ko", "reflection:0"], graders)` gives
the rules, `judge` the reward of one response. Third parties register classes (`Options` with a
`__call__`) under the entry-point group `reasonbench.rules`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from pydantic import ValidationError

from reasonbench.errors import UsageError, unknown
from reasonbench.grading.graders import Graders
from reasonbench.trainers.rules.base import (
    Judged,
    Options,
    Rule,
    Weighted,
    gradable,
    is_ungraded,
    judge,
    judge_fully,
)

__all__ = [
    "BUILTIN",
    "Judged",
    "Options",
    "Rule",
    "Weighted",
    "get",
    "gradable",
    "is_ungraded",
    "judge",
    "judge_fully",
    "make_rules",
    "names",
    "parse_rule",
    "spell",
]

_HERE = "reasonbench.trainers.rules"
BUILTIN = {
    "accuracy": f"{_HERE}.accuracy:Accuracy",
    "format": f"{_HERE}.format:Format",
    "boxed": f"{_HERE}.format:Boxed",
    "program": f"{_HERE}.format:Program",
    "language": f"{_HERE}.language:Language",
    "overlong": f"{_HERE}.length:Overlong",
    "cosine": f"{_HERE}.length:Cosine",
    "repetition": f"{_HERE}.repetition:Repetition",
    "reflection": f"{_HERE}.reflection:Reflection",
}

_GROUP = "reasonbench.rules"
_SPEC = re.compile(r"(?P<name>[\w.-]+)(?::(?P<rest>.*))?", re.DOTALL)


def names() -> list[str]:
    """Every rule, our own first."""
    return [*BUILTIN, *(entry.name for entry in entry_points(group=_GROUP))]


def get(name: str) -> type[Options]:
    """The class of a rule.

    Raises:
        UsageError: no rule has this name.
    """
    if name in BUILTIN:
        module, _, attribute = BUILTIN[name].partition(":")
        found: type[Options] = getattr(import_module(module), attribute)
        return found
    for entry in entry_points(group=_GROUP):
        if entry.name == name:
            loaded: type[Options] = entry.load()
            return loaded
    raise unknown("reward rule", name, names())


def parse_rule(spec: str) -> tuple[Any, float]:
    """The rule that `name:weight,option=value,…` spells, and its weight.

    Weight and options may be left out: `name`, `name:weight`, `name:option=value`.

    Raises:
        UsageError: unknown name or option, a weight that is no finite number, a value of the wrong
            kind.
    """
    match = _SPEC.fullmatch(spec.strip())
    if match is None:
        raise UsageError(f"reward {spec!r} is not of the form name:weight,option=value,…")
    cls = get(match["name"])
    parts = [part.strip() for part in (match["rest"] or "").split(",")]
    weight = cls.weight
    if parts[0] and "=" not in parts[0]:
        weight = _weight(parts.pop(0), spec)
    values: dict[str, object] = {}
    options = {field.alias or key for key, field in cls.model_fields.items()}
    for part in filter(None, parts):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals:
            raise UsageError(f"option {part!r} of reward {spec!r} is not of the form name=value.")
        if key not in options:
            if not options:
                raise UsageError(f"reward {cls.name} has no options, but {spec!r} gives {key!r}.")
            raise unknown(f"option of reward {cls.name}", key, options)
        if key in values:
            raise UsageError(f"reward {spec!r} gives {key!r} twice.")
        values[key] = value
    try:
        return cls.model_validate(values), weight
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f"{part}: " for part in first["loc"])
        why = first["msg"].removeprefix("Value error, ")
        raise UsageError(f"reward {spec!r}: {where}{why}.") from None


def make_rules(spec: Sequence[str], graders: Graders) -> tuple[Weighted, ...]:
    """The rules of a reward, in the order given.

    Accuracy is always among them, with weight 0 where it is not asked for: what is optimised and
    what is wanted are both logged.

    Args:
        spec: each as `parse_rule` reads it; none is accuracy alone, with weight 1.
        graders: grades the responses; closed by the caller.

    Raises:
        UsageError: a spelling is wrong, a rule is given twice.
    """
    made: dict[str, Weighted] = {}
    for one in spec or ("accuracy:1",):
        rule, weight = parse_rule(one)
        if rule.name in made:
            raise UsageError(f"reward {rule.name!r} is given twice.")
        made[rule.name] = Weighted(rule, weight, graders)
    if "accuracy" not in made:
        made["accuracy"] = Weighted(parse_rule("accuracy")[0], 0.0, graders)
    return tuple(made.values())


def spell(weighted: Weighted) -> str:
    """The rule as `parse_rule` reads it, with the options that differ from their defaults."""
    parts = [f"{weighted.weight:g}"]
    if isinstance(weighted.rule, Options):
        given = weighted.rule.model_dump(exclude_defaults=True, by_alias=True)
        parts += [f"{key}={value}" for key, value in given.items()]
    return f"{weighted.rule.name}:{','.join(parts)}"


def _weight(text: str, spec: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not math.isfinite(weight):
        raise UsageError(f"reward {spec!r}: the weight {text!r} is not a finite number.")
    return weight
