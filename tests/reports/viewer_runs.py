"""Runs for the viewer: written down by hand, with everything that it shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from reasonbench.runs import RunStore, SampleKey
from reasonbench.runs.stored import StoredSearch
from reasonbench.types import Completion, Message, Problem, Prompt, Question, Verdict

BENCHMARK, POOL, TREE = "sums", "drawn", "tree"
REWARD = "judge"

HOSTILE = (
    "<script>window.broken=1</script></script><!-- <b>bold</b> \u202eevil\u2066 \x1b[31mred\x1b[0m "
    "\x00\x07<img src=http://example.org/x onerror=window.broken=1> \u2028 & \"'\\"
)
LINE = "x" * 1_000_000
CODE = "def f(a):\n    if a < 2:\n        return 'z'\n    return a\n"

RIGHT = Verdict("correct", "4", "exact", "4 against 4")
WRONG = Verdict("incorrect", "5", "exact", "5 against 4")
NONE = Verdict("incorrect", None, "no answer")
CUT = Verdict("incorrect", None, "truncated")
FAILED = Verdict("ungraded", None, "request", "the server was not there")

STEPS = ("Two and two.\n\n", "Wait, let me check: 2+2=4.\n\n", "So \\boxed{4}")


def row(strategy: str, accuracy: float, version: int = 0, n: int = 4) -> dict[str, Any]:
    """A headline row of results.json, as far as the viewer reads it."""
    return {
        "benchmark": BENCHMARK, "strategy": strategy, "options": {}, "metric": "pass@k", "n": n,
        "k": n if strategy != "cot" else 1, "level": None, "subject": None, "step": None,
        "weight_version": version, "accuracy": accuracy, "interval": [accuracy / 2, 1.0],
        "problems": 3, "truncated": 0.1, "no_answer": 0.1, "ungraded": 0.0, "decode_tokens": 9.0,
    }  # fmt: skip


def add(
    store: RunStore,
    problem: str,
    sample: int,
    text: str | None,
    verdict: Verdict | None,
    *,
    pool: str = POOL,
    version: int = 0,
    finish: Any = "stop",
) -> SampleKey:
    """One sample; without a text there is only its verdict."""
    key = SampleKey(BENCHMARK, problem, pool, version, sample)
    if text is not None:
        done = Completion((1,) * 7, text, finish, seed=sample, weight_version=version)
        store.add_completion(key, done)
    if verdict is not None:
        store.add_verdict(key, verdict, answer_class=0)
    return key


def problem(name: str, text: str, **more: Any) -> Problem:
    kind = more.pop("kind", "math")
    return Problem(Question(name, BENCHMARK, text, "Answer in a box.", kind), "4", **more)


def write_run(folder: Path, *, better: bool = False) -> Path:
    """Three problems, two versions of the weights, one search; `better` swaps right and wrong.

    `two+two` has a right sample that looked back, a wrong one, one cut and one without an answer;
    `hostile` has what must not act; `code` is a program.
    """
    right, wrong = (WRONG, RIGHT) if better else (RIGHT, WRONG)
    with RunStore.create_or_resume(folder, {"model": "toy"}) as store:
        store.add_pool(POOL, {})
        store.add_pool(TREE, {"role": "search", "search": "beam@2", "reward": REWARD})
        store.add_pool("tests", {"role": "tests"})
        store.add_problems(
            [
                problem("two+two", "What is 2+2?", level="1", subject="adding"),
                problem("hostile/../../x y", HOSTILE, level="2", subject=HOSTILE),
                problem("code", "Write f.", kind="code", level="10"),
            ]
        )
        prompt = Prompt((1, 2), "<|user|>What is 2+2?<|assistant|>")
        store.add_prompt(BENCHMARK, "two+two", POOL, prompt, [Message("user", "What is 2+2?")])
        key = add(store, "two+two", 0, "".join(STEPS), RIGHT)
        store.add_score(key, REWARD, [0.5, 0.25, 0.875])
        store.add_score(key, "taken:asc@4", [0, 7], whole=1)
        add(store, "two+two", 1, "It is \\boxed{5}", WRONG)
        add(store, "two+two", 2, "It is " * 20, CUT, finish="length")
        add(store, "two+two", 3, "I do not know", NONE)
        add(store, "two+two", 5, None, FAILED)
        add(store, "two+two", 0, "Later: \\boxed{4}", RIGHT, version=30)
        add(store, "two+two", 1, "Later: \\boxed{4}", RIGHT, version=30)
        hostile = Verdict("incorrect", HOSTILE, "exact", HOSTILE)
        add(store, "hostile/../../x y", 0, HOSTILE + "\n\n" + HOSTILE, hostile)
        add(store, "hostile/../../x y", 1, LINE, wrong)
        add(store, "hostile/../../x y", 2, "𝟜 Wait, \\boxed{4}", RIGHT)
        add(store, "code", 0, CODE, right)
        add(store, "two+two", 0, "assert f(1) == 'z'", None, pool="tests")
        _search(store)
    rows = [row("cot", 0.25), row("maj", 0.5), row("cot", 1.0, 30), row("beam", 0.75, n=2)]
    strategies = {"cot@4": POOL, "maj@4": POOL, "beam@2": TREE}
    results = {
        "schema": 1,
        "run": {"created": "2026-01-02T03:04:05+00:00", "complete": True,
                "evaluations": [{"weight_version": 30, "step": 300}]},
        "model": {"model": "toy"},
        "protocol": {"benchmarks": {BENCHMARK: {"strategies": strategies}}},
        "rows": rows,
    }  # fmt: skip
    (folder / "results.json").write_text(json.dumps(results))
    return folder


def _search(store: RunStore) -> None:
    """A tree of depth two: of two first steps one is dropped, the other branches."""
    said = {
        (0,): "First.\n\n", (1,): "Astray <b>.\n\n", (0, 0): "So \\boxed{4}",
        (0, 1): "So \\boxed{5}", (0, -2, 0): "Rolled out",
    }  # fmt: skip
    for path, text in said.items():
        store.add_node(BENCHMARK, "two+two", TREE, path, Completion((1,), text, "stop"))
    nodes = [
        {"path": [], "root": True, "visits": 4, "value": 0.5},
        {"path": [0], "score": 0.75, "visits": 3, "value": 0.625, "tokens": 1},
        {"path": [0, 0], "score": 0.9375, "end": "stop", "tokens": 1},
        {"path": [0, 1], "score": 0.125, "end": "stop", "tokens": 1},
        {"path": [1], "score": 0.0625, "dropped": "below the best 1 " + HOSTILE, "tokens": 1},
    ]
    trace = {
        "state": "finished",
        "candidates": [[0, 0], [0, 1]],
        "nodes": nodes,
        "roll_outs": [{"path": [0, -2, 0], "score": 0.75, "tokens": 1}],
    }
    for sample, (end, verdict) in enumerate([((0, 0), RIGHT), ((0, 1), WRONG)]):
        text = said[0,] + said[end]
        key = add(store, "two+two", sample, text, verdict, pool=TREE)
        store.add_score(key, REWARD, [0.75, 0.9375 if sample == 0 else 0.125])
    store.add_trace(BENCHMARK, "two+two", TREE, trace, search=StoredSearch("finished"))
