"""Training problems of the built-in families, as benchmarks ask them; none of a test split."""

from __future__ import annotations

from reasonbench.benchmarks.builtin_training import FAMILIES, training_problems

__all__ = ["FAMILIES", "training_problems"]
