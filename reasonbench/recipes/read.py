"""Recipes as they are written: TOML with a `[[stage]]` table for each stage of a chain.

    model = "builtin"                    # the base, "@base" below

    [machine]                            # where every stage runs: device, dtype, threads, engine
    device = "cpu"

    [evaluation]                         # what each stage's model is evaluated on
    benchmark = ["builtin-arithmetic"]
    strategy = ["cot@4"]

    [[stage]]
    name = "data"
    kind = "distill"
    generate = { model = "@base", benchmark = "builtin-arithmetic-train", strategy = "cot@8" }

    [[stage]]
    name = "sft"
    kind = "sft"
    model = "@base"
    data = "@data"

All other keys of a stage are the settings of its kind. A text that begins with @ is a reference:
`@sft` is what a stage makes, `@rl/best` a folder or file inside its folder, `@base` the model to
start from, `@input` a file of `[inputs]`. Stages with `repeat = true` run `rounds` times; there
`@sft|@base` is the latest `sft` (of this round where it stands above, else of the round before) and
the base in the first round, and {round} in a text is the round's number.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reasonbench.errors import UsageError, unknown
from reasonbench.trainers.config import RECIPES

BASE = "base"
"""The name by which stages refer to the model that the chain starts from."""

MACHINE = ("device", "dtype", "threads", "engine", "engine_args")
"""Settings of `[machine]`."""

_TOP = ("model", "rounds", "machine", "evaluation", "inputs", "stage")
_STAGE = ("name", "kind", "repeat", "evaluate")
_NAME = re.compile(r"[a-z][a-z0-9-]*")
_REFERENCE = re.compile(r"@(?P<name>[a-z][a-z0-9-]*)(?P<below>/[^:]*)?(?P<rest>:.*)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a chain.

    Attributes:
        name: unique in the chain; also its folder's.
        kind: what it does (`kinds.KINDS`).
        settings: of its kind, references as they are written.
        evaluate: whether the model that it makes is evaluated.
    """

    name: str
    kind: str
    settings: Mapping[str, Any]
    evaluate: bool = True

    def needs(self) -> list[str]:
        """Names of what its settings refer to, `base` and inputs among them."""
        return list(dict.fromkeys(name for name, _, _ in _references(self.settings)))


@dataclass(frozen=True, slots=True)
class Recipe:
    """A chain of stages.

    Attributes:
        name: the recipe's, or its file's.
        model: the base.
        machine: where stages run.
        evaluation: settings of `reasonbench eval` for the models that stages make; empty: none.
        inputs: files that stages refer to, by name.
        stages: in their order, rounds written out.
    """

    name: str
    model: str
    machine: Mapping[str, Any]
    evaluation: Mapping[str, Any]
    inputs: Mapping[str, str]
    stages: tuple[Stage, ...]


def names() -> dict[str, str]:
    """The chains that come with reasonbench, each with the first line of its file."""
    found = {}
    for path in sorted(RECIPES.glob("*.toml")):
        text = path.read_text(encoding="utf-8")
        if "stage" in tomllib.loads(text):
            found[path.stem] = text.partition("\n")[0].lstrip("# ")
    return found


def load(name: str) -> dict[str, Any]:
    """The values of a chain: one that comes with reasonbench, or a TOML file.

    Raises:
        UsageError: no such recipe, no TOML, or a recipe of a single stage.
    """
    path = Path(name) if name.endswith(".toml") else RECIPES / f"{name}.toml"
    if not path.is_file():
        if name.endswith(".toml"):
            raise UsageError(f"there is no recipe file {name}")
        raise unknown("recipe", name, names())
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}") from error
    if "stage" not in values:
        raise UsageError(
            f"{name} is a recipe of one stage: run it with `reasonbench train KIND --recipe {name}`"
        )
    return values


def override(values: dict[str, Any], changes: Mapping[str, Any]) -> None:
    """Puts settings over those of a recipe: `{"sft": {"epochs": 1}}` changes the stage `sft`.

    Args:
        values: of `load`, changed in place.
        changes: by stage, or by `machine`, `evaluation`, `inputs`, `rounds`, `model`.

    Raises:
        UsageError: there is no such stage.
    """
    stages = {s.get("name"): s for s in values.get("stage", ()) if isinstance(s, dict)}
    for key, value in changes.items():
        if key in stages:
            _merge(stages[key], value, key)
        elif key in ("machine", "evaluation", "inputs"):
            _merge(values.setdefault(key, {}), value, key)
        elif key in ("rounds", "model"):
            values[key] = value
        else:
            known = [name for name in _TOP if name != "stage"] + [str(name) for name in stages]
            raise unknown("part of the recipe", key, known)


def _merge(into: Any, values: Any, where: str) -> None:
    if not isinstance(into, dict) or not isinstance(values, Mapping):
        raise UsageError(f"{where} is a table of settings: write {where}.KEY=VALUE")
    for key, value in values.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value, f"{where}.{key}")
        else:
            into[key] = value


def parse(values: Mapping[str, Any], name: str) -> Recipe:
    """The chain that a recipe's values say, its references checked.

    Raises:
        UsageError: an unknown key or kind, a name twice, a reference to nothing or to a later
            stage, an input without a file.
    """
    for key in values:
        if key not in _TOP:
            raise unknown("key of a recipe", key, _TOP)
    machine, evaluation = _table(values, "machine"), _table(values, "evaluation")
    for key in machine:
        if key not in MACHINE:
            raise unknown("setting of the machine", key, MACHINE)
    inputs = {key: str(value) for key, value in _table(values, "inputs").items()}
    rounds = values.get("rounds", 1)
    if isinstance(rounds, bool) or not isinstance(rounds, int) or rounds < 1:
        raise UsageError(f"rounds is a whole number from 1 (got {rounds!r})")
    stages = tuple(_expanded(_tables(values), rounds))
    model = values.get("model", "builtin")
    recipe = Recipe(name, str(model), machine, evaluation, inputs, stages)
    _check(recipe)
    return recipe


def _table(values: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = values.get(key, {})
    if not isinstance(found, Mapping):
        raise UsageError(f"{key} should be a table of settings (got {found!r})")
    return dict(found)


def _tables(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    from reasonbench.recipes.kinds import KINDS

    found = values.get("stage")
    if not isinstance(found, list) or not found or not all(isinstance(s, dict) for s in found):
        raise UsageError("a recipe has at least one [[stage]] table")
    taken = {BASE, *_TOP, *_table(values, "inputs")}
    for table in found:
        name, kind = table.get("name"), table.get("kind")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise UsageError(f"a stage's name is of small letters, digits and - (got {name!r})")
        if name in taken:
            raise UsageError(f"stage {name}: the name is taken")
        taken.add(name)
        if kind not in KINDS:
            raise unknown("kind of stage", str(kind), KINDS)
    return found


def _expanded(tables: Sequence[Mapping[str, Any]], rounds: int) -> Iterator[Stage]:
    """Stages in their order, the repeated ones once for every round."""
    repeated = [i for i, table in enumerate(tables) if table.get("repeat")]
    if not repeated:
        yield from (_stage(table, table["name"], table) for table in tables)
        return
    first, last = repeated[0], repeated[-1]
    if repeated != list(range(first, last + 1)):
        raise UsageError("the stages that repeat stand together")
    place = {tables[i]["name"]: i for i in repeated}
    for table in tables[:first]:
        yield _stage(table, table["name"], _bound(table, place, 0, first))
    for number in range(1, rounds + 1):
        for i in repeated:
            bound = _bound(tables[i], place, number, i)
            yield _stage(tables[i], f"{tables[i]['name']}-{number}", bound)
    for table in tables[last + 1 :]:
        yield _stage(table, table["name"], _bound(table, place, rounds, last + 1))


def _stage(table: Mapping[str, Any], name: str, values: Mapping[str, Any]) -> Stage:
    settings = {key: _first(value) for key, value in values.items() if key not in _STAGE}
    return Stage(name, str(table["kind"]), settings, bool(table.get("evaluate", True)))


def _bound(value: Any, place: Mapping[str, int], number: int, at: int) -> Any:
    """Settings with references to repeated stages bound to rounds.

    Args:
        place: of each repeated stage in the recipe.
        number: of the round; 0 before the first.
        at: place of the stage whose settings these are.
    """
    if isinstance(value, Mapping):
        return {key: _bound(inner, place, number, at) for key, inner in value.items()}
    if isinstance(value, list):
        return [_bound(inner, place, number, at) for inner in value]
    if not isinstance(value, str):
        return value
    value = value.replace("{round}", str(number)) if at in place.values() else value
    if not value.startswith("@"):
        return value
    for choice in value.split("|"):
        found = _REFERENCE.fullmatch(choice)
        if found is None or found["name"] not in place:
            return choice
        which = number if place[found["name"]] < at else number - 1
        if which >= 1:
            return f"@{found['name']}-{which}{found['below'] or ''}{found['rest'] or ''}"
    raise UsageError(f"{value} is nothing in the first round: write {value}|@base, say")


def _first(value: Any) -> Any:
    """Outside of rounds a reference with alternatives is its first one."""
    if isinstance(value, Mapping):
        return {key: _first(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_first(inner) for inner in value]
    return value.partition("|")[0] if isinstance(value, str) and value[:1] == "@" else value


def _check(recipe: Recipe) -> None:
    """References point backwards, inputs have files."""
    before = [BASE, *recipe.inputs]
    later = [stage.name for stage in recipe.stages]
    for stage in recipe.stages:
        for name in stage.needs():
            if name in before:
                if recipe.inputs.get(name) == "":
                    raise UsageError(
                        f"recipe {recipe.name} needs a file for {name}: give "
                        f"--set inputs.{name}=FILE (the recipe says what it holds)"
                    )
                continue
            if name in later:
                raise UsageError(f"stage {stage.name} refers to @{name}, which is not before it")
            raise unknown(f"stage (in stage {stage.name})", name, before)
        before.append(stage.name)


def _references(value: Any) -> Iterator[tuple[str, str, str]]:
    """(name, path below, rest) of each reference in nested settings."""
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _references(inner)
    elif isinstance(value, str) and value.startswith("@"):
        found = _REFERENCE.fullmatch(value)
        if found is None:
            raise UsageError(f"{value} is no reference: write @STAGE or @STAGE/FILE")
        yield found["name"], found["below"] or "", found["rest"] or ""


def resolve(value: Any, places: Mapping[str, tuple[str, Path | None]]) -> Any:
    """Settings with every reference replaced.

    Args:
        places: by name, what it stands for and the folder that paths below it lie in.

    Raises:
        UsageError: a path below something that has no folder.
    """
    if isinstance(value, Mapping):
        return {key: resolve(inner, places) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [resolve(inner, places) for inner in value]
    if not (isinstance(value, str) and value.startswith("@")):
        return value
    ((name, below, rest),) = _references(value)
    what, folder = places[name]
    if below:
        if folder is None:
            raise UsageError(f"{value}: {name} is no stage, so nothing lies below it")
        what = str(folder / below[1:])
    return what + rest
