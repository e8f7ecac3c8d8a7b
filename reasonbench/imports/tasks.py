"""What other harnesses call the benchmarks that are known here."""

from __future__ import annotations

import re

_NAMES: tuple[tuple[str, str], ...] = (
    (r"gsm8k(_cot|_cot_zeroshot|_cot_self_consistency|_cot_llama|_llama|_leaderboard)?", "gsm8k"),
    (r"(hendrycks_|minerva_)?math_?500(_gpassk|_cot_zeroshot)?", "math500"),
    (r"(hendrycks_|minerva_)?math(_(algebra|counting_and_prob(ability)?|geometry"
     r"|intermediate_algebra|num(ber)?_theory|prealgebra|precalc(ulus)?))?", "math"),
    (r"aime(_?20)?_?24(_.+)?", "aime24"),
    (r"aime(_?20)?_?25(_.+)?", "aime25"),
    (r"amc_?(20)?23", "amc23"),
    (r"humaneval(_(instruct|64|64_instruct))?", "humaneval"),
    (r"humaneval_?plus|humaneval\+", "humaneval+"),
    (r"mbpp(_instruct)?", "mbpp-full"),
    (r"mbpp_?plus(_instruct)?|mbpp\+", "mbpp+"),
)  # fmt: skip

_EVALPLUS = {"HumanEval": "humaneval+", "Mbpp": "mbpp+"}

_CODE = re.compile(
    r"humaneval|mbpp|livecodebench|bigcodebench|ds_?1000|class_?eval|swe_?bench"
    r"|(?<![a-z])(lcb|apps)(?![a-z])"
)


def benchmark_of(task: str, harness: str) -> str | None:
    """The benchmark whose problems a task has; None where it is none that is known.

    Multiple choice is left out: harnesses shuffle options each in their own way, so letters of one
    say nothing of another's.
    """
    if harness == "evalplus":
        return _EVALPLUS.get(task)
    name = plain(task)
    if harness == "inspect_ai" and name == "mbpp":
        return "mbpp"  # inspect_evals takes the sanitized split
    return next((ours for pattern, ours in _NAMES if re.fullmatch(pattern, name)), None)


def is_code(task: str) -> bool:
    """Whether a task's answers are programs, by its name."""
    return _CODE.search(plain(task)) is not None


def plain(task: str) -> str:
    """A task's name without its suite, its number of examples and its spelling.

    "lighteval|math_500|0|0" is "math_500"; "inspect_evals/gsm8k" is "gsm8k".
    """
    parts = [part for part in task.split("|") if part]
    if len(parts) > 1:
        parts = [part for part in parts if not part.isdigit()] or parts
    name = parts[-1] if parts else task
    return re.sub(r"[-: ]+", "_", name.rpartition("/")[2].lower())
