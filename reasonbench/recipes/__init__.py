"""Recipes: chains of training stages in TOML, each stage resumable and evaluated (cli `recipe`)."""

from __future__ import annotations

from reasonbench.recipes.chain import Chained, Watch, check, run
from reasonbench.recipes.read import Recipe, Stage, load, names, override, parse

__all__ = [
    "Chained",
    "Recipe",
    "Stage",
    "Watch",
    "check",
    "load",
    "names",
    "override",
    "parse",
    "run",
]
