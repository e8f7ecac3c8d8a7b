"""What an import knows of the samples of one benchmark, and what a reader must be told of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from reasonbench.imports.matching import Given
from reasonbench.imports.samples import Origin
from reasonbench.strategies import parse, spell

RESPONSES, PROGRAMS = "imported", "imported-programs"
"""Pools: whole responses, and programs that the harness had extracted."""


@dataclass(slots=True)
class Part:
    """The samples of one benchmark.

    Attributes:
        origin: of the log that they came from first.
        programs: they are extracted programs, not responses.
        tasks, files: where they came from.
        counts: samples of each problem.
        blind: samples without a number of tokens; where there are any, those of none are stored,
            because a column in which 0 may mean unknown would be wrong in every mean.
        open_ended: samples whose end is not known.
        reasons: why samples are ungraded, and how many.
        code: answers are programs.
        mixed: the logs were sampled with different settings.
    """

    origin: Origin
    programs: bool = False
    tasks: set[str] = field(default_factory=set)
    files: dict[str, None] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    blind: int = 0
    open_ended: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    code: bool = False
    mixed: bool = False

    @property
    def pool(self) -> str:
        """Where the samples are stored."""
        return PROGRAMS if self.programs else RESPONSES

    @property
    def harness(self) -> str:
        """With its version, as far as the log says it."""
        return f"{self.origin.harness} {self.origin.version}".strip()

    def plan(self, name: str, matched: Given | None) -> dict[str, Any]:
        """What is computed of the samples, as the summary reads it."""
        most = max(self.counts.values())
        # votes over programs run every one of them again: only where they are asked for
        wanted = ("cot", "oracle") if self.code else ("cot", "maj", "oracle")
        chosen = [spell(parse(spec, most)) for spec in (wanted if most > 1 else wanted[:1])]
        spec = {
            **self.origin.settings,
            "imported": True,
            "answers_only": self.programs,
            "harness": self.origin.harness,
            "harness_version": self.origin.version or None,
            "tasks": sorted(self.tasks),
            "files": list(self.files),
            "tokens": "unknown" if self.blind else "recorded",
            "ends": "recorded"
            if not self.open_ended
            else ("unknown" if self.open_ended == self.counts.total() else "recorded in part"),
        }
        return {
            "protocol": f"imported from {self.harness}",
            "source": matched.loaded.source if matched else f"log:{', '.join(self.files)}",
            "revision": matched.loaded.revision if matched else None,
            "problems": len(self.counts),
            "pools": {self.pool: spec},
            "completions": {self.pool: self.counts.total()},
            "strategies": dict.fromkeys(chosen, self.pool),
        }

    def notes(self, name: str, matched: Given | None) -> Iterator[str]:
        """Sentences without their full stops."""
        total = self.counts.total()
        told = [f"{key} {value}" for key, value in self.origin.settings.items()]
        unsaid = [key for key in ("temperature", "max_tokens") if key not in self.origin.settings]
        missing = f"; {' and '.join(unsaid)} not in the log" if unsaid else ""
        yield f"{name}: sampled with {', '.join(told) or 'unknown settings'}{missing}"
        if self.mixed:
            yield f"{name}: its files have different settings; the first one's are named"
        if self.blind:
            of = "" if self.blind == total else f" of {self.blind:,} of {total:,} samples"
            yield f"{name}: token counts{of} are unknown; no cost is computed"
        if self.open_ended:
            of = "samples" if self.open_ended == total else f"{self.open_ended:,} samples"
            yield (
                f"{name}: how {of} ended is unknown; what a token limit cut is graded as it stands"
            )
        for reason, count in self.reasons.most_common():
            yield f"{name}: {count:,} of {total:,} samples are ungraded: {reason}"
        fewest, most = min(self.counts.values()), max(self.counts.values())
        if matched is None:
            yield f"{name}: graded against the log's own targets, not as a benchmark of reasonbench"
        elif left_out := len(matched.loaded.problems) - len(self.counts):
            yield (
                f"{name}: {left_out:,} of its {len(matched.loaded.problems):,} problems have no "
                "sample in the log and are left out"
            )
        if fewest < most:
            yield (
                f"{name}: problems have {fewest} to {most} samples; one with fewer than k is "
                "scored at what it has"
            )

    def deviation(self, name: str) -> str:
        """Where the numbers come from, after "deviates from"."""
        return (
            f"what is measured here: {name} is imported from {self.harness} (task "
            f"{', '.join(sorted(self.tasks))}; {', '.join(self.files)})"
        )
