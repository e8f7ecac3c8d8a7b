"""The rewards by rule as other trainers call them: TRL's `reward_funcs`, verl's `compute_score`.

    from reasonbench.trainers.export_rewards import reward_funcs, reward_weights

    rules = ["accuracy:1", "format:0.5", "overlong:1,max=4096,cache=512"]
    trainer = GRPOTrainer(
        reward_funcs=reward_funcs(rules),
        args=GRPOConfig(reward_weights=reward_weights(rules), ...),
        train_dataset=load_dataset("json", data_files="train.jsonl", split="train"),
    )

For verl: `custom_reward_function.path=<this file> custom_reward_function.name=compute_score` and
`custom_reward_function.reward_kwargs.rules=[…]`. The data of both is what `reasonbench export
--format trl|verl` writes; rows of one's own need a gold answer (see `reward_funcs`).
"""

from __future__ import annotations

import asyncio
import math
import os
import re
import threading
from collections.abc import Coroutine, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from reasonbench.errors import UsageError
from reasonbench.grading.graders import Graders
from reasonbench.trainers.problem_json import read_problem
from reasonbench.trainers.rules import (
    Judged,
    Weighted,
    is_ungraded,
    judge_fully,
    make_rules,
    parse_rule,
)
from reasonbench.types import Completion, Finish, Problem, Prompt, Question

_T = TypeVar("_T")

GOLD_COLUMNS = ("solution", "answer", "ground_truth", "target")
"""Columns that hold the gold answer where a row has no `problem`, the first that is there."""

_END_MARKS = re.compile(r"(?:<[|｜][^<>|｜\n]{1,40}[|｜]>|</s>|<eos>|<end_of_turn>|\s)+$")


class RewardFunction:
    """One rule as a reward function of TRL (1.16): called with lists, one entry per completion.

    It can be pickled; its graders are started in the process that calls it.
    """

    def __init__(self, spec: str, thinking_open: bool, max_tokens: int | None) -> None:
        """Use `reward_funcs`."""
        self.spec = spec
        self.thinking_open = thinking_open
        self.max_tokens = max_tokens
        self.__name__ = str(parse_rule(spec)[0].name)

    def __call__(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        completion_ids: Sequence[Sequence[int]] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        """The unweighted reward of each completion; None where the rule does not apply.

        Args:
            prompts: texts, or conversations as lists of messages.
            completions: texts, or lists of messages.
            completion_ids: their tokens; without them rules of length do not apply.
            columns: of the data set, as lists: `problem`, or a gold answer in one of
                `GOLD_COLUMNS`. TRL's own (`trainer_state`, `log_extra`, `log_metric`) are unused.

        Raises:
            UsageError: the data has neither column.
        """
        ids = completion_ids or [()] * len(completions)
        cases = [
            (
                _row_problem(columns, index, prompt),
                _prompt(prompt, self.thinking_open),
                _completion(completion, tokens, self.max_tokens),
            )
            for index, (prompt, completion, tokens) in enumerate(
                zip(prompts, completions, ids, strict=True)
            )
        ]
        judged = _judging().all(_single(self.spec), cases)
        return [one.components.get(self.__name__) for one in judged]


def reward_funcs(
    rules: Sequence[str], *, thinking_open: bool = False, max_tokens: int | None = None
) -> list[RewardFunction]:
    """A reward function for each rule, in order; their weights are `reward_weights(rules)`.

    A row's `problem` column (`reasonbench export --format trl`) says how it is graded, programs
    included. Without it the gold answer is that of `solution`, `answer`, `ground_truth` or
    `target`, graded as maths, and the question is the prompt's last user turn.

    Args:
        rules: as `reasonbench train grpo --rule` reads them.
        thinking_open: the chat template ends the prompt inside `<think>`; seen without this in
            prompts that are text.
        max_tokens: TRL's `max_completion_length`: a completion of this many tokens counts as
            truncated, which TRL does not tell its reward functions.

    Raises:
        UsageError: a rule is misspelt or given twice.
    """
    made = [RewardFunction(spec, thinking_open, max_tokens) for spec in rules]
    names = [one.__name__ for one in made]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"reward {name!r} is given twice.")
    return made


def reward_weights(rules: Sequence[str]) -> list[float]:
    """TRL's `reward_weights` for `reward_funcs(rules)`."""
    return [parse_rule(spec)[1] for spec in rules]


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: Any,
    extra_info: Mapping[str, Any] | None = None,
    *,
    rules: Sequence[str] | str = ("accuracy:1",),
    thinking_open: bool = False,
    ungraded: float = math.nan,
    **_: Any,
) -> dict[str, float]:
    """The reward of one response, as verl asks for it.

    Args:
        data_source: the benchmark's name.
        solution_str: the response; special tokens at its end do not count.
        ground_truth: the gold answer, graded as maths where `extra_info` has no `problem`.
        extra_info: of the row; `problem` as `reasonbench export --format verl` writes it.
        rules: their spellings; several in one string are separated by ";".
        thinking_open: the chat template ends the prompt inside `<think>`.
        ungraded: the score where the grader failed and a rule that counts needs it: no number, so
            that it is not taken for a wrong answer. Give one to train on such responses.

    Returns:
        "score", the weighted sum, or `ungraded`; "acc", 1, 0, or NaN where nothing was graded; and
        each rule's own value by its name, NaN where it does not apply. Rules of length do not: verl
        gives no tokens (it has its own overlong penalty).
    """
    spec = tuple(rules.split(";")) if isinstance(rules, str) else tuple(rules)
    given = (extra_info or {}).get("problem")
    if given:
        problem = read_problem(given)
    else:
        asked = str((extra_info or {}).get("question") or "")
        problem = _problem(str(data_source), asked, ground_truth)
    prompt = Prompt((), problem.question.text, thinking_open)
    completion = Completion((), _END_MARKS.sub("", solution_str), "stop")
    judging = _judging()  # first: rules of a parent process hold its graders
    weighted = _rules(spec)
    (judged,) = judging.all(weighted, [(problem, prompt, completion)])
    components = {one.rule.name: judged.components.get(one.rule.name, math.nan) for one in weighted}
    correct = math.nan if judged.correct is None else float(judged.correct)
    score = ungraded if is_ungraded(weighted, problem, judged) else judged.reward
    return {"score": score, "acc": correct, **components}


_Case = tuple[Problem, Prompt, Completion]


class _Judging:
    """Graders on an event loop of their own, for callers that have none, from any thread.

    The processes that they start end with the one that calls, if `close` does not end them before.
    """

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.graders = Graders(workers=max(1, min(8, (os.cpu_count() or 1) // 2)))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="rewards", daemon=True)
        self._thread.start()

    def all(self, rules: Sequence[Weighted], cases: Sequence[_Case]) -> list[Judged]:
        """What the rules say of each case, in order."""
        return self._run(self._all(rules, cases))

    async def _all(self, rules: Sequence[Weighted], cases: Sequence[_Case]) -> list[Judged]:
        kinds = {problem.question.kind for problem, _, _ in cases}
        room = {kind: asyncio.Semaphore(self.graders.in_flight(kind)) for kind in kinds}

        async def one(case: _Case) -> Judged:
            async with room[case[0].question.kind]:
                return await judge_fully(rules, *case)

        return list(await asyncio.gather(*map(one, cases)))

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def close(self) -> None:
        self._run(self.graders.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


_lock = threading.Lock()
_made: _Judging | None = None


def _judging() -> _Judging:
    """This process's graders; a forked child makes its own, since threads do not survive."""
    global _made
    with _lock:
        if _made is None or _made.pid != os.getpid():
            _made = _Judging()
            _rules.cache_clear()
            _single.cache_clear()
        return _made


def close() -> None:
    """Stop the processes that grade; the next call of a reward starts them again."""
    global _made
    with _lock:
        if _made is not None and _made.pid == os.getpid():
            _made.close()
        _made = None
        _rules.cache_clear()
        _single.cache_clear()


@lru_cache(maxsize=64)
def _rules(spec: tuple[str, ...]) -> tuple[Weighted, ...]:
    return make_rules(spec, _judging().graders)


@lru_cache(maxsize=64)
def _single(spec: str) -> tuple[Weighted, ...]:
    return (Weighted(parse_rule(spec)[0], 1.0, _judging().graders),)


def _row_problem(columns: Mapping[str, Any], index: int, prompt: Any) -> Problem:
    given = columns.get("problem")
    if given is not None and isinstance(given[index], str) and given[index].startswith("{"):
        return read_problem(given[index])
    for name in GOLD_COLUMNS:
        if name in columns:
            return _problem("data", _question(prompt), columns[name][index])
    raise UsageError(
        "the data needs a `problem` column (reasonbench export --format trl), or a gold answer in "
        f"{', '.join(GOLD_COLUMNS[:-1])} or {GOLD_COLUMNS[-1]}."
    )


def _problem(benchmark: str, text: str, gold: Any) -> Problem:
    question = Question(id="", benchmark=benchmark, text=text)
    return Problem(question, None if gold is None else str(gold))


def _question(prompt: Any) -> str:
    if isinstance(prompt, str):
        return prompt
    users = [turn for turn in prompt if turn.get("role") == "user"]
    return _content(users[-1]) if users else ""


def _prompt(prompt: Any, thinking_open: bool) -> Prompt:
    text = prompt if isinstance(prompt, str) else "\n".join(map(_content, prompt))
    opened = isinstance(prompt, str) and text.rstrip().endswith("<think>")
    return Prompt((), text, thinking_open or opened)


def _completion(completion: Any, ids: Sequence[int], max_tokens: int | None) -> Completion:
    text = completion if isinstance(completion, str) else "\n".join(map(_content, completion))
    cut = max_tokens is not None and len(ids) >= max_tokens
    finish: Finish = "length" if cut else "stop"
    return Completion(tuple(map(int, ids)), text, finish)


def _content(turn: Mapping[str, Any]) -> str:
    """A message's text; reasoning that a parser took out of it goes back in front."""
    content = turn.get("content") or ""
    if not isinstance(content, str):
        content = "".join(str(part.get("text") or "") for part in content)
    thought = turn.get("reasoning_content")
    return f"<think>{thought}</think>{content}" if thought else content
