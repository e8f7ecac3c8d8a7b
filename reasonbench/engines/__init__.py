"""Engines: models that write. Importing this loads no backend."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import NamedTuple

from reasonbench.engines.base import Engine, EngineDeadError, EngineError
from reasonbench.engines.config import API_KEY, EngineConfig
from reasonbench.errors import UsageError, unknown

__all__ = [
    "API_KEY",
    "SERVED",
    "Engine",
    "EngineConfig",
    "EngineDeadError",
    "EngineError",
    "describe",
    "names",
    "open_engine",
]

GROUP = "reasonbench.engines"
"""Entry points of this group are `async def open(config: EngineConfig) -> Engine`."""

SERVED = "openai:"
"""What the name of a served model begins with."""


class _Builtin(NamedTuple):
    what: str
    module: str
    needs: str | None
    extra: str | None


_BUILTIN = {
    "vllm": _Builtin("vLLM in its own process", "reasonbench.engines.vllm", "vllm", "vllm"),
    "transformers": _Builtin(
        "transformers with batching of its own",
        "reasonbench.engines.transformers",
        "transformers",
        "train",
    ),
    "replay": _Builtin("completions recorded in a file", "reasonbench.engines.replay", None, None),
    "openai": _Builtin(
        "any OpenAI-compatible server", "reasonbench.engines.openai", "aiohttp", "openai"
    ),
    "ray": _Builtin("replicas of vLLM on a Ray cluster", "reasonbench.engines.ray", "ray", "ray"),
}


def names() -> list[str]:
    """Every engine by name, third parties' last."""
    return [*_BUILTIN, *(point.name for point in entry_points(group=GROUP))]


def describe() -> dict[str, tuple[str, str]]:
    """By name: what the engine is, and "yes" or what to install before it can be used."""
    found = {
        name: (engine.what, "yes" if _missing(engine) is None else f"no: {_missing(engine)}")
        for name, engine in _BUILTIN.items()
    }
    for point in entry_points(group=GROUP):
        found[point.name] = (f"from {point.value}", "yes")
    return found


async def open_engine(config: EngineConfig) -> Engine:
    """Load the model and return the engine, ready for requests.

    Raises:
        UsageError: an unknown engine, one that is not installed, or a model that cannot be opened.
    """
    name, notice = config.engine, None
    if config.replicas is not None:
        name = "ray"  # which says what cannot be had as replicas
    if name == "auto":
        name, notice = ("openai", None) if config.model.startswith(SERVED) else _choose()
    if name in _BUILTIN:
        if missing := _missing(_BUILTIN[name]):
            raise UsageError(f"the engine {name!r} cannot be used: {missing}.")
        opener: Callable[[EngineConfig], Awaitable[Engine]]
        opener = import_module(_BUILTIN[name].module).open_engine
    else:
        points = {point.name: point for point in entry_points(group=GROUP)}
        if name not in points:
            raise unknown("engine", name, ["auto", *names()])
        opener = points[name].load()
    engine = await opener(config)
    if notice is not None:
        engine.notice = notice
    return engine


def _choose() -> tuple[str, str | None]:
    """What "auto" means here, and why where it is not the first choice."""
    if find_spec("vllm") is not None:
        return "vllm", None
    why = "vLLM is not installed: using transformers, which is slower"
    return "transformers", f"{why} (pip install 'reasonbench[vllm]')."


def _missing(engine: _Builtin) -> str | None:
    """What to install before the engine can be used, or None."""
    if engine.needs is None or find_spec(engine.needs) is not None:
        return None
    return f"{engine.needs} is not installed (pip install 'reasonbench[{engine.extra}]')"
