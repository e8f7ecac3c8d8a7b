"""The file that a person edits: every response with its id, as JSON lines or as Markdown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from reasonbench.distill.response import CLOSE, OPEN
from reasonbench.errors import UsageError
from reasonbench.runs.files import replacing
from reasonbench.trainers.data import read_jsonl

HEAD = """\
<!-- Edit what stands between the lines "response" and "end"; leave these lines as they are.
     Empty the response of a row that is to be dropped. A row whose block is gone stays unchanged.
     Then: reasonbench distill import OUT THIS_FILE -->
"""

_MARK = re.compile(r"<!-- (row|response|end) (\".*\") -->")
_LIKE_MARK = re.compile(r"^(\\*)(?=<!-- (?:row|response|end) \")", re.MULTILINE)


class Edit(NamedTuple):
    """One response as it came back."""

    response: str
    line: int


def response_of(row: Mapping[str, Any]) -> str:
    """The response of a row, a reject or a line of the sheet, its opening tag included."""
    if "messages" in row:
        return str(row["messages"][-1]["content"])
    text = str(row.get("completion", row.get("response", ""))).strip()
    if CLOSE in text and OPEN not in text:  # the chat template writes the opening
        return f"{OPEN}\n{text}"
    return text


def question_of(row: Mapping[str, Any]) -> str:
    """What a row asks, for people to read."""
    if "question" in row:
        return str(row["question"])
    prompt = row.get("messages", row.get("prompt", ""))
    if isinstance(prompt, str):
        return prompt
    asked = [str(turn["content"]) for turn in prompt if turn["role"] == "user"]
    return asked[-1] if asked else ""


def write_sheet(rows: Iterable[Mapping[str, Any]], path: Path) -> int:
    """Write the rows (`.md` for Markdown, `.jsonl` for JSON lines); how many there are.

    Rows of general data are left out: nobody can grade them.

    Raises:
        UsageError: another suffix, or the file cannot be written.
    """
    markdown = _is_markdown(path)
    count = 0
    with replacing(path) as partial, partial.open("w", encoding="utf-8") as file:
        if markdown:
            file.write(HEAD)
        for row in rows:
            if row.get("source", {}).get("kind") == "mix":
                continue
            count += 1
            file.write(_block(row) if markdown else _line(row))
    return count


def read_sheet(path: Path) -> dict[str, Edit]:
    """The responses of an edited file by id.

    Raises:
        UsageError: no such file, another suffix, an id twice, or a block without its end.
    """
    found: dict[str, Edit] = {}
    pairs = _blocks(path) if _is_markdown(path) else _lines(path)
    for name, edit in pairs:
        if name in found:
            raise UsageError(f"{path}, line {edit.line}: row {name} is there twice.")
        found[name] = edit
    if not found:
        raise UsageError(f"{path} holds no rows.")
    return found


def _is_markdown(path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix not in (".md", ".jsonl"):
        raise UsageError(f"{path}: a sheet to edit ends in .md or .jsonl.")
    return suffix == ".md"


def _line(row: Mapping[str, Any]) -> str:
    reason = {"reason": row["reason"]} if "reason" in row else {}
    said = {"id": row["id"], **reason, "question": question_of(row), "response": response_of(row)}
    return json.dumps(said, ensure_ascii=False) + "\n"


def _block(row: Mapping[str, Any]) -> str:
    name = json.dumps(row["id"])
    answer = row.get("source", {}).get("answer")
    notes = [f"answer: {answer}"] if answer else []
    notes += [f"rejected: {row['reason']}"] if "reason" in row else []
    return (
        f"\n<!-- row {name} -->\n\n{_escaped(question_of(row))}\n\n"
        + "".join(f"*{note}*\n\n" for note in notes)
        + f"<!-- response {name} -->\n{_escaped(response_of(row))}\n<!-- end {name} -->\n"
    )


def _escaped(text: str) -> str:
    """Lines that look like marks get a backslash more, which reading takes off again."""
    return _LIKE_MARK.sub(r"\1\\", text)


def _blocks(path: Path) -> Iterator[tuple[str, Edit]]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}.") from None
    inside: str | None = None
    first = 0
    kept: list[str] = []
    for number, line in enumerate(lines, 1):
        mark = _MARK.fullmatch(line.rstrip())
        if mark is None:
            if inside is not None:
                kept.append(line[1:] if _LIKE_MARK.match(line) and line[0] == "\\" else line)
            continue
        name = _named(path, number, mark[2])
        if inside is None:
            if mark[1] == "response":
                inside, first, kept = name, number, []
            elif mark[1] == "end":
                raise UsageError(f"{path}, line {number}: an end without its response.")
        elif mark[1] != "end" or name != inside:
            raise UsageError(
                f"{path}, line {number}: the response of line {first} has no end before it."
            )
        else:
            yield inside, Edit("\n".join(kept).strip(), first)
            inside = None
    if inside is not None:
        raise UsageError(f"{path}: the response of line {first} has no end.")


def _named(path: Path, number: int, text: str) -> str:
    try:
        return str(json.loads(text))
    except json.JSONDecodeError:
        raise UsageError(f"{path}, line {number}: this mark was changed.") from None


def _lines(path: Path) -> Iterator[tuple[str, Edit]]:
    for number, row in enumerate(read_jsonl(path), 1):
        name, response = row.get("id"), row.get("response")
        if not isinstance(name, str) or not isinstance(response, str):
            raise UsageError(f"{path}, record {number}: a row needs `id` and `response` as texts.")
        yield name, Edit(response.strip(), number)
