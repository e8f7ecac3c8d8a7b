"""Traces that walk a wrong branch of a stored search before the right one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from reasonbench.distill.collect import found, origin
from reasonbench.distill.config import Journey
from reasonbench.distill.draft import Draft
from reasonbench.distill.journey import Sentences, journeys, read_sentences
from reasonbench.distill.trees import parent
from reasonbench.errors import UsageError
from reasonbench.grading.graders import Graders
from reasonbench.runs import RunStore
from reasonbench.runs.stored import SampleKey
from reasonbench.types import Completion, Message, Problem, Prompt, Question, Verdict

SAID = Sentences(("No: {answer}. Back.", "No. Back."), ("No: {answer}. Again.", "No. Again."))
SURE = Sentences(("Back.",), ("Again.",))

# The right path is (0,) (0, 0) (0, 0, 0); one wrong branch leaves it at its second step, one is
# wrong from the beginning, one was given up.
TEXTS = {
    (0,): "a=1\n\n",
    (0, 0): "b=1\n\n",
    (0, 0, 0): "\\boxed{2}",
    (0, 1): "b=2\n\n",
    (0, 1, 0): "\\boxed{3}",
    (1,): "\\boxed{4}",
    (2,): "a=9\n\n",
}


def stored(
    folder: Path, texts: dict[tuple[int, ...], str], *, thinking: bool = False, **more: Any
) -> RunStore:
    """A run that holds one search, as the evaluator stores it."""
    store = RunStore.create_or_resume(folder, {"strategy": ["beam@4"]})
    question = Question("q1", "sums", "What is 1 + 1?", kind="integer")
    store.add_problems([Problem(question, "2")])
    store.add_pool("beam", {"role": "search"})
    prompt = Prompt((), "What is 1 + 1?", thinking)
    store.add_prompt("sums", "q1", "beam", prompt, [Message("user", "What is 1 + 1?")])
    nodes: list[dict[str, Any]] = [{"path": [], "root": True}]
    for path, text in texts.items():
        tokens = tuple(range(len(text)))
        store.add_node("sums", "q1", "beam", path, Completion(tokens, text, "stop"))
        end = {"end": "answer"} if "boxed" in text else {}
        extra = more.get("nodes", {}).get(path, {})
        nodes.append({"path": list(path), "tokens": len(tokens), **end, **extra})
    trace = {"state": "finished", "candidates": more.get("candidates", []), "nodes": nodes}
    store.add_trace("sums", "q1", "beam", trace)
    store.add_verdict(SampleKey("sums", "q1", "beam", 0, 0), Verdict("correct", "2", "integer"))
    store.flush()
    return store


def made(store: RunStore, journey: Journey, said: Sentences = SURE) -> list[Draft]:
    async def run() -> list[Draft]:
        graders = Graders()
        try:
            one = origin("run", store.folder, store)
            return [d for f in found([one]) for d in await journeys(f, journey, said, graders)]
        finally:
            await graders.aclose()

    with store:
        return asyncio.run(run())


def test_wrong_branches_are_walked_where_they_leave_the_right_path(tmp_path: Path) -> None:
    (trace,) = made(stored(tmp_path / "run", TEXTS), Journey(wrong=2), SAID)
    assert trace.response in {
        f"\\boxed{{4}}\n\n{again}\n\na=1\n\nb=2\n\n\\boxed{{3}}\n\n{back}\n\nb=1\n\n\\boxed{{2}}"
        for again in ("No: 4. Again.", "No. Again.")
        for back in ("No: 3. Back.", "No. Back.")
    }
    assert (trace.verdict, trace.answer) == ("correct", "2")
    assert trace.tokens == sum(len(TEXTS[p]) for p in TEXTS if p != (2,))
    assert [w["path"] for w in trace.source["wrong"]] == [[1], [0, 1, 0]]


def test_steps_of_a_wrong_branch_can_be_limited_and_then_it_has_no_answer(tmp_path: Path) -> None:
    texts = {path: text for path, text in TEXTS.items() if path != (1,)}
    (trace,) = made(stored(tmp_path / "run", texts), Journey(steps=1), SAID)
    assert trace.response == "a=1\n\nb=2\n\nNo. Back.\n\nb=1\n\n\\boxed{2}"


def test_a_branch_that_was_given_up_counts_only_below_the_score(tmp_path: Path) -> None:
    texts = {p: TEXTS[p] for p in ((0,), (0, 0), (0, 0, 0), (2,))}
    nodes = {(2,): {"score": 0.1, "dropped": "not kept"}}
    assert made(stored(tmp_path / "a", texts, nodes=nodes), Journey()) == []
    assert made(stored(tmp_path / "b", texts, nodes=nodes), Journey(score=0.1)) == []
    (trace,) = made(stored(tmp_path / "c", texts, nodes=nodes), Journey(score=0.2))
    assert trace.response == "a=9\n\nAgain.\n\na=1\n\nb=1\n\n\\boxed{2}"


def test_a_sibling_that_says_the_same_is_no_branch_of_its_own(tmp_path: Path) -> None:
    texts = {
        (0,): "a=1\n\n",
        (0, 0): "\\boxed{2}",
        (1,): "a=1\n\n",
        (1, 0): "\\boxed{5}",
        (2,): "\\boxed{2}",
    }
    short, long = made(stored(tmp_path / "run", texts), Journey())
    assert long.response == "a=1\n\n\\boxed{5}\n\nBack.\n\n\\boxed{2}"
    assert short.response == "a=1\n\n\\boxed{5}\n\nAgain.\n\n\\boxed{2}"


def test_the_walk_can_be_put_into_thinking(tmp_path: Path) -> None:
    texts = {(0,): "a=1\n\n", (0, 0): "So \\boxed{2}", (1,): "\\boxed{4}"}
    (trace,) = made(stored(tmp_path / "run", texts), Journey(form="thinking"))
    assert trace.response == (
        "<think>\n\\boxed{4}\n\nAgain.\n\na=1\n\nSo \\boxed{2}\n</think>\n\nSo \\boxed{2}"
    )
    assert trace.verdict == "correct"


def test_a_wrong_answer_behind_the_thinking_is_left_out_of_the_walk(tmp_path: Path) -> None:
    texts = {
        (0,): "a=1\n\n",
        (0, 0): "right</think>\\boxed{2}",
        (0, 1): "wrong</think>\\boxed{3}",
    }
    (trace,) = made(stored(tmp_path / "run", texts, thinking=True), Journey())
    assert trace.response == "<think>\na=1\n\nwrong\n\nBack.\n\nright</think>\\boxed{2}"
    assert trace.verdict == "correct"


def test_thinking_that_the_model_opens_itself_is_opened_once(tmp_path: Path) -> None:
    texts = {(0,): "<think>a</think>\\boxed{2}", (1,): "<think>b</think>\\boxed{3}"}
    nodes = {path: {"end": "answer"} for path in texts}
    (trace,) = made(stored(tmp_path / "run", texts, nodes=nodes), Journey())
    assert trace.response == "<think>\nb\n\nAgain.\n\na</think>\\boxed{2}"


def test_a_step_that_was_cut_after_sampling_is_left_out_with_what_follows(tmp_path: Path) -> None:
    nodes = {(0,): {"tokens": 2}}
    assert made(stored(tmp_path / "run", TEXTS, nodes=nodes), Journey()) == []


def test_trees_of_other_prompts_are_left_out(tmp_path: Path) -> None:
    nodes = {(1,): {"root": True}}
    texts = {p: TEXTS[p] for p in ((0,), (0, 0), (0, 0, 0), (1,))}
    assert made(stored(tmp_path / "run", texts, nodes=nodes), Journey()) == []


def test_a_roll_out_hangs_below_the_node_that_it_started_from() -> None:
    assert parent((0, 1)) == (0,)
    assert parent((0,)) is None
    assert parent((0, -2, 3)) == (0,)
    assert parent((0, -2, 3, 0)) == (0, -2, 3)


def test_sentences_of_a_file_need_one_for_branches_without_an_answer(tmp_path: Path) -> None:
    path = tmp_path / "said.txt"
    path.write_text("Not {answer}.\n\nNo.\n")
    assert read_sentences(Journey(reflections=path)).back == ["Not {answer}.", "No."]
    path.write_text("Not {answer}.\n")
    with pytest.raises(UsageError, match="without"):
        read_sentences(Journey(reflections=path))
