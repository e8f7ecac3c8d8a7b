"""What a response is written in: its prose, its thinking, its scripts and languages."""

from __future__ import annotations

from reasonbench.text.languages import LANGUAGES, Language, language, language_of
from reasonbench.text.mixture import Mixture, measure, mixture
from reasonbench.text.prose import prose
from reasonbench.text.thinking import thinking

__all__ = [
    "LANGUAGES",
    "Language",
    "Mixture",
    "language",
    "language_of",
    "measure",
    "mixture",
    "prose",
    "thinking",
]
