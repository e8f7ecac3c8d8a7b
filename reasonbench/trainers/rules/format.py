"""`<think>…</think><answer>…</answer>`, the boxed answer, and the program in its fence."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from reasonbench.grading.extract import closed_answer
from reasonbench.literals import LiteralError, parse
from reasonbench.trainers.rules.base import Options
from reasonbench.types import Completion, Problem, Prompt, Verdict

TAGS = ("<think>", "</think>", "<answer>", "</answer>")
_TAG = re.compile("|".join(TAGS))


def response_text(prompt: Prompt, completion: Completion) -> str:
    """The response as the model sees it: what the prompt began of it, then what it wrote.

    Templates open `<think>` for the model, or write an empty thinking span where thinking is
    turned off; the completion does not hold these tags.
    """
    if completion.thinking_open:
        return "<think>" + completion.text
    if prompt.text.rstrip().endswith("</think>"):
        return "<think></think>" + completion.text
    return completion.text


def well_formed(text: str) -> bool:
    """Whether a response is `<think>…</think><answer>…</answer>`.

    Exactly one of each tag, in this order, and nothing but blanks before, between and after the
    two spans. What is inside them may be empty of words, but not of an answer: the answer span
    must hold something.
    """
    tags = list(_TAG.finditer(text))
    if tuple(tag.group() for tag in tags) != TAGS:
        return False
    think, thought, answer, answered = tags
    outside = (text[: think.start()], text[thought.end() : answer.start()], text[answered.end() :])
    return not any(part.strip() for part in outside) and bool(
        text[answer.end() : answered.start()].strip()
    )


def lost_tags(tokenizer: Any) -> tuple[str, ...]:
    """Tags that a tokenizer's decoding leaves out of the text, because they are special tokens.

    With any of them lost, no response can have the form: a trainer should say so before it starts.
    """
    lost = []
    for tag in TAGS:
        ids = tokenizer.encode(tag, add_special_tokens=False)
        if tag not in tokenizer.decode(ids, skip_special_tokens=True):
            lost.append(tag)
    return tuple(lost)


class Format(Options):
    """1 where the response has the form of R1-Zero's template, else 0."""

    name: ClassVar[str] = "format"
    title: ClassVar[str] = "<think>…</think><answer>…</answer>, one of each and nothing outside"
    source: ClassVar[str] = "DeepSeek-R1, section 2.2.2 and table 1"
    graded: ClassVar[bool] = False

    async def __call__(
        self, problem: Problem, prompt: Prompt, completion: Completion, verdict: Verdict | None
    ) -> float | None:
        return float(well_formed(response_text(prompt, completion)))


class Boxed(Options):
    r"""1 where a closed `\boxed{}` that is not empty stands after the reasoning, else 0."""

    name: ClassVar[str] = "boxed"
    title: ClassVar[str] = r"an answer in \boxed{} after the reasoning"
    source: ClassVar[str] = "Dr. GRPO (Liu et al. 2025), section 3: the Qwen-Math template"
    graded: ClassVar[bool] = False

    async def __call__(
        self, problem: Problem, prompt: Prompt, completion: Completion, verdict: Verdict | None
    ) -> float | None:
        if problem.question.kind == "code":
            return None
        thinking_open = completion.thinking_open
        # a closed <answer> would do for `closed_answer`; only a box does here
        text = completion.text.replace("</answer>", "")
        return float(closed_answer(text, thinking_open=thinking_open))


class Program(Options):
    """1 where a response to a programming problem gives a program that parses, else 0.

    It does not run it: whether it is right is the accuracy.
    """

    name: ClassVar[str] = "program"
    title: ClassVar[str] = "a program that parses, for programming problems"
    source: ClassVar[str] = "DeepSeek-R1, section 2.2.2 (the compiler's part of the code reward)"
    graded: ClassVar[bool] = False

    async def __call__(
        self, problem: Problem, prompt: Prompt, completion: Completion, verdict: Verdict | None
    ) -> float | None:
        if problem.question.kind != "code":
            return None
        from reasonbench.grading.program import extract_program

        thinking_open = completion.thinking_open
        found = extract_program(completion.text, problem.question.data, thinking_open=thinking_open)
        if not found:
            return 0.0
        try:
            parse(found)
        except LiteralError:
            return 0.0
        return 1.0
