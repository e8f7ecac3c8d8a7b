"""Training problems of the built-in families, as many as one asks for; none of a test split.

`builtin-arithmetic-train:problems=2000,seed=1`, and likewise for countdown and code: the same
generators as the test splits of `reasonbench.benchmarks.builtin`, which they leave out. They are
to make data from (`reasonbench distill`) and to train on; results are reported on the test splits.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

from reasonbench.benchmarks.base import Benchmark
from reasonbench.errors import UsageError, unknown
from reasonbench.prompts.wording import BOXED, CODE_FUNCTION
from reasonbench.types import Problem, Question

FAMILIES = ("arithmetic", "countdown", "code")
PROBLEMS = 1000
"""How many there are where nobody says."""

_OPTIONS = ("problems", "seed")


def training_problems(seed: int, shares: Mapping[str, float]) -> Iterator[Problem]:
    """Endless problems, the families drawn by their shares, levels evenly.

    Args:
        seed: two streams of the same seed and shares are equal.
        shares: by family (`FAMILIES`), in any unit.
    """
    from reasonbench.builtin import arithmetic, code, countdown

    rng = random.Random(f"reward problems {seed}")
    words = arithmetic.training_stream(rng)
    numbers = countdown.training_stream(rng)
    programs = code.training_stream(rng)
    index = 0
    data: dict[str, Any]
    while True:
        family = rng.choices(FAMILIES, [shares.get(name, 0.0) for name in FAMILIES])[0]
        name = f"train-{seed}-{index:06d}"
        index += 1
        if family == "arithmetic":
            item = next(words)
            question = Question(name, "builtin-arithmetic", item.question, BOXED, kind="integer")
            yield Problem(question, item.answer, str(item.level), item.subject)
        elif family == "countdown":
            item = next(numbers)
            data = {"numbers": item.numbers, "target": item.target}
            question = Question(
                name, "builtin-countdown", item.question, BOXED, kind="expression", data=data
            )
            yield Problem(question, None, str(item.level), item.subject)
        else:
            program = next(programs)
            shown = [case._asdict() for case in program.examples]
            data = {
                "form": "function",
                "entry": program.entry,
                "prefix": "",
                "prelude": "",
                "examples": shown,
            }
            question = Question(
                name, "builtin-code", program.question, CODE_FUNCTION, kind="code", data=data
            )
            tests = {"form": "calls", "cases": [c._asdict() for c in program.cases], "atol": 0.0}
            hidden = {"tests": tests, "solution": program.answer}
            yield Problem(question, None, str(program.level), program.subject, hidden=hidden)


def configured(family: str, options: Mapping[str, str]) -> Benchmark:
    """The benchmark of so many problems of one family from one seed.

    Raises:
        UsageError: an unknown option, or a value that is no whole number.
    """
    name = f"builtin-{family}-train"
    for option in options:
        if option not in _OPTIONS:
            raise unknown(f"option of {name}", option, _OPTIONS)
    count = _whole(name, "problems", options.get("problems", str(PROBLEMS)), 1)
    seed = _whole(name, "seed", options.get("seed", "0"), 0)
    return Benchmark(
        name=name,
        title=f"training problems of builtin-{family}, none of its test split",
        generate=partial(_problems, family, count, seed),
        protocol="builtin",
        max_tokens=512,
        licence="Apache-2.0",
        tags=("builtin", "train"),
        remark=lambda problems: f"{count} problems of seed {seed}",
    )


def _problems(family: str, count: int, seed: int) -> Sequence[Problem]:
    stream = islice(training_problems(seed, {family: 1.0}), count)
    name = f"builtin-{family}-train"
    return [replace(p, question=replace(p.question, benchmark=name)) for p in stream]


def _whole(benchmark: str, option: str, text: str, least: int) -> int:
    if not text.isdecimal() or int(text) < least:
        raise UsageError(
            f"{benchmark}: {option} should be a whole number from {least} (got {text!r})."
        )
    return int(text)


BENCHMARKS = tuple(
    replace(configured(family, {}), configure=partial(configured, family)) for family in FAMILIES
)
