"""Distillation: what a teacher writes, and a grader accepts, as training data (cli `distill`)."""

from __future__ import annotations

from reasonbench.distill.config import DistillConfig, Journey, Readable, Rewrite, Select, parse
from reasonbench.distill.pipeline import Distilled, distill

__all__ = [
    "DistillConfig",
    "Distilled",
    "Journey",
    "Readable",
    "Rewrite",
    "Select",
    "distill",
    "parse",
]
