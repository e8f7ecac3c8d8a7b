"""Editing by people: export a sheet, take it back, grade what changed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from reasonbench.distill.collect import Origin, origin
from reasonbench.distill.collect import asked as asked_of
from reasonbench.distill.config import DistillConfig, parse, read
from reasonbench.distill.draft import Draft, Judged
from reasonbench.distill.pipeline import CONFIG, RUN
from reasonbench.distill.response import CLOSE, OPEN, parts
from reasonbench.distill.rows import RowMaker, student_tokenizer
from reasonbench.distill.select import Filters
from reasonbench.distill.sheet import Edit, read_sheet, response_of, write_sheet
from reasonbench.distill.write import DATA, REJECTS, line, reject
from reasonbench.errors import UsageError
from reasonbench.grading.graders import Graders
from reasonbench.runs import RunStore, atomic_write
from reasonbench.runs.files import replacing
from reasonbench.runs.stored import Series
from reasonbench.trainers.data import read_jsonl
from reasonbench.types import Completion, Problem
from reasonbench.verdicts import grade

EDITED, EDITED_REJECTS, EDITED_SUMMARY = (
    "edited.jsonl",
    "edited.rejects.jsonl",
    "edited.summary.json",
)

Row = Mapping[str, Any]
_Where = tuple[str, str, str]
"""Run, benchmark and problem."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of an import.

    Attributes:
        file: the dataset with the edits.
        rows: how many it has.
        counts: rows by what happened: unchanged, edited, added (from the rejects), dropped, and
            "refused: …" with the reason.
    """

    file: Path
    rows: int
    counts: Mapping[str, int]


def export_sheet(out: Path, path: Path, *, rejects: bool = False, limit: int | None = None) -> int:
    """Write a distillation's rows, or its rejects, to a file for editing; how many there are.

    Raises:
        UsageError: there is no distillation in the folder, or the file cannot be written.
    """
    source = out / (REJECTS if rejects else DATA)
    if not (out / CONFIG).is_file() or not source.is_file():
        raise UsageError(f"{out} holds no finished distillation.")
    return write_sheet(islice(read_jsonl(source), limit), path)


async def import_sheet(
    out: Path, path: Path, *, drop_missing: bool = False, workers: int = 1
) -> Imported:
    """Take an edited sheet back into OUT/edited.jsonl; data.jsonl stays as it is.

    Rows that the sheet does not name stay unchanged, emptied ones are dropped. Every changed
    response is graded again and goes through the distillation's filters of form (readability,
    languages); one that fails is refused, with its reason in edited.rejects.jsonl. A reject that
    was changed and now passes becomes a row.

    Args:
        drop_missing: drop rows that the sheet does not name.

    Raises:
        UsageError: the sheet is broken, names a row that the distillation does not have, or
            changes general data; nothing has been written then.
    """
    edits = read_sheet(path)
    config = parse(read(out / CONFIG))
    if not (out / DATA).is_file():
        raise UsageError(f"{out} holds no finished distillation.")
    changed = _changed(out, path, edits)
    graders = Graders(workers=workers)
    try:
        with ExitStack() as opened:
            importer = _Importer(out, config, changed, graders, opened)
            return await importer.write(edits, drop_missing=drop_missing)
    finally:
        await graders.aclose()


def _changed(out: Path, path: Path, edits: Mapping[str, Edit]) -> dict[str, Row]:
    """Rows and rejects whose response is another now, by id."""
    unknown = dict(edits)
    changed: dict[str, Row] = {}
    for row in _all(out):
        edit = unknown.pop(str(row.get("id")), None)
        if edit is not None and edit.response and edit.response != response_of(row).strip():
            if row.get("source", {}).get("kind") == "mix":
                raise UsageError(
                    f"{path}, line {edit.line}: {row['id']} is general data, which cannot be "
                    "graded: leave it as it is, or empty it."
                )
            changed[row["id"]] = row
    if unknown:
        name, edit = next(iter(unknown.items()))
        raise UsageError(f"{path}, line {edit.line}: {out} has no row {name}.")
    return changed


def _all(out: Path) -> Iterable[Row]:
    rejects = out / REJECTS
    return chain(read_jsonl(out / DATA), read_jsonl(rejects) if rejects.is_file() else ())


class _Importer:
    """One import, with the runs that its changed rows came from."""

    def __init__(
        self,
        out: Path,
        config: DistillConfig,
        changed: Mapping[str, Row],
        graders: Graders,
        opened: ExitStack,
    ) -> None:
        self._out, self._changed, self._graders = out, changed, graders
        student = None if config.student is None else student_tokenizer(config.student)
        self._maker = RowMaker(config.ask, config.form, student)
        self._filters = Filters(config.select, config.readable)
        self._origins: dict[str, Origin] = {}
        wanted = {_where(row) for row in changed.values()}
        self._problems: dict[_Where, Problem] = {}
        for run in sorted({run for run, _, _ in wanted}):
            folder = out / RUN if run == RUN else Path(run)
            store = opened.enter_context(RunStore.open(folder))
            self._origins[run] = origin(run, folder, store)
            for problem in store.problems():
                if (key := (run, problem.benchmark, problem.id)) in wanted:
                    self._problems[key] = problem

    async def write(self, edits: Mapping[str, Edit], *, drop_missing: bool) -> Imported:
        counts = Counter[str]()
        refused: list[Judged] = []
        with replacing(self._out / EDITED) as partial:
            with partial.open("w", encoding="utf-8") as file:
                for row in read_jsonl(self._out / DATA):
                    kept, why = await self._row(row, edits, drop_missing, refused)
                    counts[why] += 1
                    if kept is not None:
                        file.write(line(kept))
                for row in self._rejects():
                    judged = await self._judge(row, edits[row["id"]])
                    if judged.reason is not None:
                        refused.append(judged)
                        counts[f"refused: {judged.reason}"] += 1
                    else:
                        counts["added"] += 1
                        file.write(line(_uncounted(self._maker(judged.draft))))
            rows = counts["unchanged"] + counts["edited"] + counts["added"]
            if not rows:
                raise UsageError("nothing is left: every row was dropped or refused.")
            atomic_write(self._out / EDITED_REJECTS, "".join(line(reject(j)) for j in refused))
        summary = {"rows": rows, **counts}
        atomic_write(self._out / EDITED_SUMMARY, json.dumps(summary, indent=1) + "\n")
        return Imported(self._out / EDITED, rows, dict(counts.most_common()))

    def _rejects(self) -> Iterator[Row]:
        path = self._out / REJECTS
        for row in read_jsonl(path) if path.is_file() else ():
            if row["id"] in self._changed and "reason" in row:
                yield row

    async def _row(
        self,
        row: Row,
        edits: Mapping[str, Edit],
        drop_missing: bool,
        refused: list[Judged],
    ) -> tuple[Row | None, str]:
        """A row of the dataset as it is to be, and what happened to it."""
        name = str(row.get("id"))
        if name not in edits:
            general = row.get("source", {}).get("kind") == "mix"
            return (None, "dropped") if drop_missing and not general else (row, "unchanged")
        if not edits[name].response:
            return None, "dropped"
        if name not in self._changed:
            return row, "unchanged"
        judged = await self._judge(row, edits[name])
        if judged.reason is not None:
            refused.append(judged)
            return None, f"refused: {judged.reason}"
        return _with_response(row, judged.draft), "edited"

    async def _judge(self, row: Row, edit: Edit) -> Judged:
        where = _where(row)
        if where not in self._problems:
            raise UsageError(f"run {where[0]} no longer holds problem {where[1]}/{where[2]}.")
        problem, source = self._problems[where], row["source"]
        verdict = await grade(self._graders, problem, Completion((), edit.response, "stop"))
        series = Series(problem.benchmark, source["pool"], source["weight_version"])
        draft = Draft(
            id=row["id"],
            problem=problem,
            response=edit.response,
            verdict=verdict.verdict,
            answer=verdict.answer,
            layer=verdict.layer,
            finish="stop",
            tokens=int(source.get("tokens", 0)),
            asked=asked_of(self._origins[where[0]], series, problem)[0],
            source={**_plain(source), "edited": True},
        )
        if parts(edit.response) is None:
            return Judged(draft, "broken thinking span")
        return self._filters.form(draft) or Judged(draft)


def _where(row: Row) -> _Where:
    source = row["source"]
    return source["run"], source["benchmark"], source["problem"]


def _plain(source: Mapping[str, Any]) -> dict[str, Any]:
    """The provenance without what the grader said of the response before."""
    graded = ("verdict", "layer", "answer", "tokens")
    return {key: value for key, value in source.items() if key not in graded}


def _uncounted(row: Row) -> dict[str, Any]:
    """The row without the tokens of what the teacher wrote."""
    source = {key: value for key, value in row["source"].items() if key != "tokens"}
    return {**row, "source": source}


def _with_response(row: Row, draft: Draft) -> dict[str, Any]:
    """The row with another response in the form that it had; its tokens are not counted."""
    source = {
        **draft.source,
        "verdict": draft.verdict,
        "layer": draft.layer,
        "answer": draft.answer,
    }
    if "messages" in row:
        last = {**row["messages"][-1], "content": draft.response}
        return {**row, "messages": [*row["messages"][:-1], last], "source": source}
    before = str(row["completion"])
    response = draft.response
    if CLOSE in before and OPEN not in before:
        response = response.removeprefix(OPEN).lstrip("\n")
    lead = " " if before.startswith(" ") else ""
    return {**row, "completion": lead + response, "source": source}
