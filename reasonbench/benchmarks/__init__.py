"""Benchmarks by name: where their problems come from, how they are asked, how they are graded.

    benchmark = get("math500")
    loaded = load(benchmark, Path("data"))
    problems = limit(loaded.problems, 100)

Others register theirs through the entry-point group `reasonbench.benchmarks`: each entry is a
`Benchmark`, or a function without arguments that returns one.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

from reasonbench.benchmarks.base import Benchmark, Loaded, Row, Source
from reasonbench.benchmarks.load import load
from reasonbench.benchmarks.rows import SUFFIXES
from reasonbench.benchmarks.subset import limit
from reasonbench.errors import UsageError, unknown

__all__ = [
    "GROUP",
    "Benchmark",
    "Loaded",
    "Row",
    "Source",
    "get",
    "limit",
    "load",
    "names",
    "resolve",
]

GROUP = "reasonbench.benchmarks"
"""Entry-point group in which other packages register benchmarks."""


def names() -> tuple[str, ...]:
    """Every registered name: the package's own in their fixed order, then other packages'."""
    return (*_own(), *(name for name in _others() if name not in _own()))


def get(name: str) -> Benchmark:
    """The benchmark of that name.

    Raises:
        UsageError: there is none; the message lists the near misses.
    """
    own = _own().get(name)
    if own is not None:
        return own
    if name not in _others():
        raise unknown("benchmark", name, names())
    return _registered(name)


def resolve(
    spec: str,
    *,
    prompt_field: str | None = None,
    answer_field: str | None = None,
    id_field: str | None = None,
    level_field: str | None = None,
    subject_field: str | None = None,
) -> Benchmark:
    """What `--benchmark SPEC` means: a name, a TOML description, or a file of rows.

    A name may be followed by options: `name:option=value,option=value`.

    Raises:
        UsageError: neither a name nor a file, or a file without the fields it needs.
    """
    path = Path(spec)
    if path.suffix.lower() == ".toml":
        from reasonbench.benchmarks.own import from_toml

        return from_toml(path)
    if spec not in names() and path.name.lower().removesuffix(".gz").endswith(SUFFIXES):
        from reasonbench.benchmarks.own import from_file

        return from_file(path, prompt_field, answer_field, id_field, level_field, subject_field)
    name, _, text = spec.partition(":")
    benchmark = get(name if name in names() else spec)
    if benchmark.configure is not None:
        return benchmark.configure(_options(text, name))
    if text:
        raise UsageError(f"benchmark {name} has no options (got {text!r}).")
    return benchmark


def _options(text: str, name: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for part in filter(None, text.split(",")):
        key, equals, value = part.partition("=")
        if not equals:
            raise UsageError(f"option {part!r} of benchmark {name} is not of the form name=value.")
        options[key.strip()] = value.strip()
    return options


@cache
def _own() -> dict[str, Benchmark]:
    from reasonbench.benchmarks import (
        aime,
        amc,
        builtin,
        builtin_training,
        countdown,
        game24,
        gpqa,
        gsm8k,
        humaneval,
        livecodebench,
        math,
        mbpp,
    )

    families = (
        builtin,
        builtin_training,
        aime,
        amc,
        math,
        gsm8k,
        countdown,
        game24,
        gpqa,
        humaneval,
        mbpp,
        livecodebench,
    )
    return {each.name: each for family in families for each in family.BENCHMARKS}


@cache
def _others() -> tuple[str, ...]:
    return tuple(sorted(entry.name for entry in entry_points(group=GROUP)))


@cache
def _registered(name: str) -> Benchmark:
    found = next(entry for entry in entry_points(group=GROUP) if entry.name == name).load()
    benchmark = found if isinstance(found, Benchmark) else found()
    if not isinstance(benchmark, Benchmark):
        raise UsageError(f"the entry point {name!r} of {GROUP} gives no Benchmark.")
    return benchmark
