"""The files of a distillation: rows, rejects with their reasons, and the summary."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from reasonbench.distill.draft import Judged
from reasonbench.distill.mixing import Mix, Taken, rows_of, spread, take
from reasonbench.distill.overlap import Overlap
from reasonbench.distill.rows import RowMaker
from reasonbench.errors import UsageError
from reasonbench.runs import atomic_write
from reasonbench.runs.files import replacing
from reasonbench.types import Problem

SCHEMA = 1
DATA, REJECTS, SUMMARY = "data.jsonl", "rejects.jsonl", "summary.json"


class Writer:
    """Writes rows and rejects as they come, beside the files that they replace at the end.

    Use as `with`; where the block ends without `finish`, the old files stay.
    """

    def __init__(self, out: Path, maker: RowMaker, overlap: Overlap) -> None:
        self._out, self._maker, self._overlap = out, maker, overlap
        self._kept = out / f".kept.{os.getpid()}.tmp"
        self._rejected = out / f".rejected.{os.getpid()}.tmp"
        self._reasons = Counter[str]()
        self._kinds = Counter[str]()
        self._levels: dict[str, Counter[str]] = defaultdict(Counter)
        self._models = Counter[str]()
        self._problems = self._answered = 0
        self._tokens: list[int] = [0, 0, 0]
        self._last: tuple[str, str] | None = None
        self._files = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._rows = self._files.enter_context(self._kept.open("w", encoding="utf-8"))
            self._rejects = self._files.enter_context(self._rejected.open("w", encoding="utf-8"))
        except OSError as error:
            self._files.close()
            raise UsageError(f"cannot write to {self._out}: {error.strerror}.") from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._files.close()
        self._kept.unlink(missing_ok=True)
        self._rejected.unlink(missing_ok=True)

    def problem(self, problem: Problem) -> None:
        """A problem was looked at."""
        self._problems += 1

    def add(self, judged: Judged) -> None:
        """Write a row, or a reject with its reason."""
        draft = judged.draft
        if judged.reason is not None:
            self._reasons[judged.reason] += 1
            self._rejects.write(line(reject(judged)))
            return
        self._rows.write(line(self._maker(draft)))
        source = draft.source
        kind = str(source.get("kind"))
        self._kinds[f"{kind}, rewritten" if "rewritten" in source else kind] += 1
        self._levels[draft.problem.benchmark][draft.problem.level or ""] += 1
        self._models[str(source.get("model"))] += 1
        count = sum(self._kinds.values())
        low, total, high = self._tokens
        low = draft.tokens if count == 1 else min(low, draft.tokens)
        self._tokens = [low, total + draft.tokens, max(high, draft.tokens)]
        # rows of a problem come together, so the last one tells whether it is a new problem
        where = (draft.problem.benchmark, draft.problem.id)
        if where != self._last:
            self._last = where
            self._answered += 1
            self._overlap.look(draft.problem)

    def finish(
        self,
        mixes: Sequence[Mix],
        seed: int,
        *,
        runs: Sequence[Mapping[str, Any]],
        config: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Put the files in place, the summary last; returns the summary.

        Raises:
            UsageError: nothing was kept (the rejects are written all the same), or the disk
                refuses.
        """
        self._files.close()
        distilled = sum(self._kinds.values())
        with replacing(self._out / REJECTS) as partial:
            os.replace(self._rejected, partial)
        if not distilled:
            said = ", ".join(f"{count:,} {reason}" for reason, count in self._reasons.most_common())
            raise UsageError(
                f"nothing was kept of {self._problems:,} problems ({said or 'no response'}); "
                f"{self._out / REJECTS} has them with their reasons."
            )
        taken = take(mixes, distilled, seed)
        more = sum(len(one.chosen) for one in taken)
        for one in taken:
            for row in rows_of(one):
                self._overlap.look_at_record(row)
        with replacing(self._out / DATA) as partial:
            if not more:
                os.replace(self._kept, partial)
            else:
                with partial.open("w", encoding="utf-8") as file:
                    file.writelines(spread(self._lines(), distilled, _mixed(taken), more))
        summary = {
            "schema": SCHEMA,
            "rows": distilled + more,
            "distilled": distilled,
            "kept": dict(self._kinds.most_common()),
            "rejected": dict(self._reasons.most_common()),
            "problems": {"seen": self._problems, "with_rows": self._answered},
            "levels": {name: dict(sorted(of.items())) for name, of in self._levels.items()},
            "models": dict(self._models.most_common()),
            "tokens": {
                "min": self._tokens[0],
                "mean": round(self._tokens[1] / distilled, 1),
                "max": self._tokens[2],
            },
            "mixed": [
                {
                    "file": str(one.mix.path),
                    "rows": len(one.chosen),
                    "of": one.rows,
                    "share": round(len(one.chosen) / (distilled + more), 4),
                    "asked": one.mix.share,
                }
                for one in taken
            ],
            "overlap": self._overlap.found(),
            "runs": list(runs),
            "files": {name: _sha256(self._out / name) for name in (DATA, REJECTS)},
            "config": config,
        }
        atomic_write(self._out / SUMMARY, json.dumps(summary, ensure_ascii=False, indent=1) + "\n")
        return summary

    def _lines(self) -> Iterator[str]:
        with self._kept.open(encoding="utf-8") as file:
            yield from file


def reject(judged: Judged) -> dict[str, Any]:
    """A reject as it is written, for people to look at or to mend."""
    draft = judged.draft
    return {
        "id": draft.id,
        "reason": judged.reason,
        **({"detail": judged.detail} if judged.detail else {}),
        "question": draft.problem.question.text,
        "response": draft.response,
        "source": {**draft.source, "verdict": draft.verdict, "answer": draft.answer},
    }


def line(row: Mapping[str, Any]) -> str:
    """One row of JSONL; lone surrogates, which UTF-8 refuses, become ?."""
    text = json.dumps(row, ensure_ascii=False)
    return text.encode("utf-8", "replace").decode("utf-8") + "\n"


def _mixed(taken: Sequence[Taken]) -> Iterator[str]:
    """The rows of all files in turn, so that none stands in one place."""
    merged: Iterator[str] = iter(())
    count = 0
    for one in taken:
        more = len(one.chosen)
        merged = spread(merged, count, map(line, rows_of(one)), more)
        count += more
    return merged


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
