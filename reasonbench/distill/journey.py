"""Journey-learning traces: a wrong branch of a search, a reflection, and the right branch.

Qin et al. 2024 (2410.18982, "O1 Replication Journey", section 3) walk a reasoning tree depth
first, keep wrong attempts on the way to the right answer, and join them by reflections and
backtracking in words. Here the tree is the one that a search stored: its right path is followed
from the root; where a chosen wrong branch leaves it, the branch is walked first, a sentence says
that it failed, and the right path goes on.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from reasonbench.distill.collect import Found, Origin, asked, name_of, source
from reasonbench.distill.config import Journey
from reasonbench.distill.draft import Draft
from reasonbench.distill.response import CLOSE, OPEN
from reasonbench.distill.trees import Leaf, Path, Tree, leaves, read_tree
from reasonbench.errors import UsageError
from reasonbench.grading.graders import Graders
from reasonbench.runs.stored import Series
from reasonbench.types import Completion
from reasonbench.verdicts import grade

BACK = (
    "Wait, this cannot be right. Let me go back to the step before and try another way.",
    "Hmm, that does not work out. I return to where I was and take another way from there.",
    "Let me check this. No, there is a mistake in the last steps, so I go back and redo them.",
    "Wait, that gives {answer}, and it does not hold. Let me go back and do this part again.",
)
"""After a branch that left the right path behind its first step."""

AGAIN = (
    "Wait, this cannot be right. Let me start again from the beginning.",
    "Hmm, that does not work out. Let me read the problem again and begin anew.",
    "Wait, that gives {answer}, and it does not hold. Let me start again.",
)
"""After a branch that shares nothing with the right path."""


class Sentences(NamedTuple):
    """What is said behind a wrong branch; {answer} is the answer that it came to."""

    back: Sequence[str] = BACK
    again: Sequence[str] = AGAIN


class Wrong(NamedTuple):
    """A branch that leaves the right path."""

    depth: int
    """How many steps it shares with the right path."""
    steps: tuple[Path, ...]
    """Of its own, in order."""
    answer: str | None


def read_sentences(journey: Journey) -> Sentences:
    """The sentences of a file, one a line, or the built-in ones.

    Raises:
        UsageError: the file cannot be read, or has no sentence for a branch without an answer.
    """
    if journey.reflections is None:
        return Sentences()
    try:
        lines = journey.reflections.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {journey.reflections}: {error}.") from None
    own = [line.strip() for line in lines if line.strip()]
    if all("{answer}" in line for line in own):
        raise UsageError(
            f"{journey.reflections} needs a sentence without {{answer}}: not every wrong branch "
            "comes to one."
        )
    return Sentences(own, own)


async def journeys(
    found: Found, journey: Journey, said: Sentences, graders: Graders
) -> list[Draft]:
    """All traces that the trees of one problem give, graded; at most one for each right path.

    Whatever the cap takes of them is a selection like that of other drafts.
    """
    made: list[Draft] = []
    for one, series in found.trees:
        problem = found.problem
        where = (problem.benchmark, problem.id, series.pool, series.weight_version)
        tree = read_tree(one.store, *where)
        if tree is None:
            continue
        prompt, opened = asked(one, series, problem)
        ends = await leaves(tree, problem, graders, thinking_open=opened)
        for right in ends:
            if right.verdict != "correct":
                continue
            rng = random.Random(f"{journey.seed} {where} {right.path}")
            chosen = choose(tree, right, ends, journey, rng)
            if not chosen:
                continue
            response = tell(tree, right.path, chosen, journey, said, rng, thinking_open=opened)
            draft = Draft(
                id=name_of(one, series, problem, _spelled(right.path)) + "/journey",
                problem=problem,
                response=response,
                verdict=None,
                answer=None,
                layer="",
                finish="stop",
                tokens=_tokens(tree, right.path, chosen),
                asked=prompt,
                source=_source(one, series, found, tree, right, chosen),
            )
            verdict = await grade(graders, problem, Completion((), response, "stop"))
            made.append(
                replace(draft, verdict=verdict.verdict, answer=verdict.answer, layer=verdict.layer)
            )
    return made


def choose(
    tree: Tree, right: Leaf, ends: Sequence[Leaf], journey: Journey, rng: random.Random
) -> list[Wrong]:
    """Wrong branches that leave the right path at different steps, in the order of the walk.

    Wrong is a path whose answer the grader refused, and, where a score is set, one that the
    search gave up below it.
    """
    path = tree.line(right.path)
    answers = {leaf.path: leaf.answer for leaf in ends if leaf.verdict == "incorrect"}
    if journey.score is not None:
        answers |= dict.fromkeys(_given_up(tree, journey.score))
    at: dict[int, list[Wrong]] = {}
    for end, answer in answers.items():
        line = tree.line(end)
        depth = _shared(tree, line, path)
        own = line[depth:]
        if journey.steps is not None and len(own) > journey.steps:
            own, answer = own[: journey.steps], None
        # behind the thinking there is nothing to reflect on any more
        spoken = CLOSE in "".join(tree.steps[p].text for p in line[:depth])
        if own and depth < len(path) and not spoken:
            at.setdefault(depth, []).append(Wrong(depth, own, answer))
    depths = rng.sample(sorted(at), min(journey.wrong, len(at)))
    return [rng.choice(sorted(at[depth], key=lambda w: w.steps)) for depth in sorted(depths)]


def tell(
    tree: Tree,
    right: Path,
    chosen: Sequence[Wrong],
    journey: Journey,
    said: Sentences,
    rng: random.Random,
    *,
    thinking_open: bool,
) -> str:
    """The walk as one response."""
    wrong = {branch.depth: branch for branch in chosen}
    text = ""
    for depth, path in enumerate(tree.line(right)):
        if depth in wrong:
            branch = wrong[depth]
            walked = "".join(tree.steps[p].text for p in branch.steps)
            text += walked.partition(CLOSE)[0]
            sentence = _sentence(said.back if depth else said.again, branch.answer, rng)
            text = f"{text.rstrip()}\n\n{sentence}\n\n"
        text += tree.steps[path].text
    # every path that begins anew opens its thinking again; the walk is one span
    opens = thinking_open or OPEN in text
    text = text.replace(OPEN, "").strip()
    if opens:
        return f"{OPEN}\n{text}"
    if journey.form == "thinking":
        closing = tree.text(right).strip().rpartition("\n\n")[2]
        return f"{OPEN}\n{text}\n{CLOSE}\n\n{closing}"
    return text


def _given_up(tree: Tree, score: float) -> Iterator[Path]:
    for path in tree.ends():
        step = tree.steps[path]
        if step.end is None and step.score is not None and step.score < score:
            yield path


def _shared(tree: Tree, a: Sequence[Path], b: Sequence[Path]) -> int:
    """How many first steps two paths have alike: siblings may say the same."""
    count = 0
    for x, y in zip(a, b, strict=False):
        if x != y and tree.steps[x].text.split() != tree.steps[y].text.split():
            break
        count += 1
    return count


def _sentence(choices: Sequence[str], answer: str | None, rng: random.Random) -> str:
    fitting = [s for s in choices if (answer is not None) or "{answer}" not in s]
    return rng.choice(fitting).replace("{answer}", answer or "")


def _tokens(tree: Tree, right: Path, chosen: Sequence[Wrong]) -> int:
    walked = [p for branch in chosen for p in branch.steps]
    return sum(tree.steps[p].tokens for p in (*tree.line(right), *walked))


def _spelled(path: Path) -> str:
    return ".".join(map(str, path))


def _source(
    one: Origin,
    series: Series,
    found: Found,
    tree: Tree,
    right: Leaf,
    chosen: Sequence[Wrong],
) -> Mapping[str, Any]:
    return {
        **source(one, series, found.problem, "journey"),
        "sample": tree.candidates.get(right.path),
        "path": list(right.path),
        "wrong": [
            {"from": branch.depth, "path": list(branch.steps[-1]), "answer": branch.answer}
            for branch in chosen
        ],
    }
