"""Searches as the run store holds them: finished paths of a tree, each right or wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from reasonbench.grading.graders import Graders
from reasonbench.runs import RunStore
from reasonbench.tree import ROLL_OUT
from reasonbench.types import Completion, Problem, VerdictKind
from reasonbench.verdicts import grade

Path = tuple[int, ...]


class Step(NamedTuple):
    """A node below the root: what was put before it and what was sampled, as one text."""

    text: str
    tokens: int
    end: str | None
    score: float | None
    dropped: str


@dataclass(frozen=True, slots=True)
class Tree:
    """The tree that grew from a question's own prompt.

    Attributes:
        steps: every node but the root, by path.
        candidates: paths of the solutions that the search returned, by sample.
    """

    steps: Mapping[Path, Step]
    candidates: Mapping[Path, int]

    def line(self, path: Path) -> tuple[Path, ...]:
        """The nodes from the first step to this one."""
        found: list[Path] = []
        at: Path | None = path
        while at is not None and at in self.steps:
            found.append(at)
            at = parent(at)
        return tuple(reversed(found))

    def text(self, path: Path) -> str:
        """All steps from the first one to this one."""
        return "".join(self.steps[at].text for at in self.line(path))

    def ends(self) -> list[Path]:
        """Nodes that nothing follows."""
        inner = {parent(path) for path in self.steps}
        return [path for path in self.steps if path not in inner]


class Leaf(NamedTuple):
    """A finished path with what the grader says of it."""

    path: Path
    verdict: VerdictKind
    answer: str | None


def parent(path: Path) -> Path | None:
    """The path of the node above; None for a first step's (the root)."""
    above = path[:-2] if len(path) > 1 and path[-2] == ROLL_OUT else path[:-1]
    return above or None


def read_tree(
    store: RunStore, benchmark: str, problem_id: str, pool: str, weight_version: int = 0
) -> Tree | None:
    """The stored tree of a problem.

    Roll-outs count as branches. Left out are trees that grew from other prompts (revisions), and
    steps whose tokens were cut after they were sampled (budget forcing), because the store has
    them as they were sampled, and all that follows such a step. None where no search is stored.
    """
    where = (benchmark, problem_id, pool, weight_version)
    trace: Mapping[str, Any] | None = store.trace(*where)
    if trace is None or "nodes" not in trace:
        return None
    sampled = store.nodes(*where)
    nodes = {tuple(n["path"]): n for n in (*trace["nodes"], *trace.get("roll_outs", ()))}
    others = [path for path, node in nodes.items() if node.get("root") and path]
    steps: dict[Path, Step] = {}
    for path in sorted(nodes, key=len):
        node, completion = nodes[path], sampled.get(path)
        if node.get("root") or any(path[: len(other)] == other for other in others):
            continue
        above = parent(path)
        if completion is None or (above is not None and above not in steps):
            continue
        if len(completion.token_ids) != node.get("tokens"):
            continue
        steps[path] = Step(
            node.get("given", "") + completion.text,
            len(completion.token_ids),
            node.get("end"),
            node.get("score"),
            node.get("dropped", ""),
        )
    candidates = {tuple(path): sample for sample, path in enumerate(trace["candidates"])}
    return Tree(steps, {p: s for p, s in candidates.items() if p in steps})


async def leaves(
    tree: Tree, problem: Problem, graders: Graders, *, thinking_open: bool
) -> list[Leaf]:
    """The finished paths, each graded: what the search returned and what it left aside."""
    found: list[Leaf] = []
    for path in tree.ends():
        if tree.steps[path].end not in ("answer", "stop"):
            continue
        completion = Completion((), tree.text(path), "stop", thinking_open=thinking_open)
        verdict = await grade(graders, problem, completion)
        found.append(Leaf(path, verdict.verdict, verdict.answer))
    return found
