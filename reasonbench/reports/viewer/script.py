"""The page and the files beside it, as text.

A browser does not fetch from `file://`, so data come as scripts: each calls a function of the page
with JSON, which holds no character that HTML or JavaScript could take for its own.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from reasonbench.reports.page import as_json, page
from reasonbench.reports.shown import short, shown
from reasonbench.reports.viewer.records import Record
from reasonbench.types import Problem

SCRIPTS = (
    "text.js", "data.js", "address.js", "sources.js", "list.js", "filters.js", "candidate.js",
    "tree.js", "problem.js", "main.js",
)  # fmt: skip
"""In the order in which they run; each adds to `viewer`."""

QUESTION_MOST = 140
"""Characters of a question in the list."""
_GOLD_MOST = 60

_POLICY = "policy-of-this-page"
_INLINED = re.compile(r"<(script|style)>(.*?)</\1>", re.DOTALL)


def html(title: str, header: Mapping[str, Any]) -> tuple[str, str]:
    """The page, and its content policy: what is written in it runs, its loader may read parts, and
    nothing else acts.

    Args:
        header: of `reasonbench.reports.viewer.book`.

    Raises:
        UsageError: jinja2 is not installed.
    """
    context = {"header": header, "scripts": SCRIPTS}
    text = page(shown(title), "viewer.html.j2", context, policy=_POLICY)
    # parts come through a script of the page, which passes its trust on ('strict-dynamic'): not
    # every browser takes files beside a file for 'self'
    allowed: dict[str, list[str]] = {"script": ["'self' 'strict-dynamic'"], "style": []}
    for kind, inside in _INLINED.findall(text):
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        allowed[kind].append(f"'sha256-{digest}'")
    policy = (
        f"default-src 'none'; script-src {' '.join(allowed['script'])}; "
        f"style-src {' '.join(allowed['style'])}; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )
    return text.replace(_POLICY, policy, 1), policy


def listed(problem: Problem, shard: int, tallies: Iterable[list[Any]]) -> list[Any]:
    """A problem as the list has it.

    Args:
        shard: which holds its text.
        tallies: of `reasonbench.reports.viewer.tally.as_row`.
    """
    gold = None if problem.gold is None else short(problem.gold, _GOLD_MOST)
    names = [None if name is None else shown(name) for name in (problem.level, problem.subject)]
    question = short(problem.question.text, QUESTION_MOST)
    place = [shown(problem.benchmark), shown(problem.id)]
    return [*place, *names, question, gold, shard, list(tallies)]


def index_file(number: int, first: int, rows: Iterable[str]) -> str:
    """A part of the list of problems.

    Args:
        first: the number of its first problem.
        rows: JSON of `listed`.
    """
    return f"viewer.data.listed({number},{first},[\n" + ",\n".join(rows) + "\n]);\n"


def shard_file(number: int, records: Iterable[str]) -> str:
    """A shard; `records` are JSON of `Record`."""
    return f"viewer.data.shard({number},[\n" + ",\n".join(records) + "\n]);\n"


def record_text(record: Record) -> str:
    """A record as JSON."""
    return as_json(list(record))
