"""Samples of a run as JSONL or Parquet, in constant memory."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from reasonbench.errors import UsageError
from reasonbench.runs.files import replacing
from reasonbench.runs.reader import Reader
from reasonbench.runs.stored import Series, StoredProblem, StoredSample

_BATCH_ROWS = 1_024
_BATCH_BYTES = 16 << 20


def sample_rows(
    reader: Reader, series: Iterable[Series], *, text: bool = True, prompts: bool = False
) -> Iterator[dict[str, Any]]:
    """One row per sample; `reasonbench score` and the replay engine read them.

    Args:
        text: with the responses.
        prompts: with the rendered prompts.
    """
    for one in series:
        for stored in reader.samples(*one, text=text):
            if not stored.samples:
                continue
            prompt = reader.prompt(one.benchmark, stored.problem.id, one.pool) if prompts else None
            for sample in stored.samples:
                row = _row(one, stored, sample)
                if not text:
                    del row["text"]
                if prompts:
                    row["prompt"] = prompt.prompt.text if prompt else None
                yield row


def _row(series: Series, stored: StoredProblem, sample: StoredSample) -> dict[str, Any]:
    problem = stored.problem
    # recorded completions whose tokens nobody counted: unknown is not 0
    counted = bool(sample.tokens or sample.usage.requests)
    return {
        "benchmark": series.benchmark,
        "id": problem.id,
        "pool": series.pool,
        "weight_version": series.weight_version,
        "sample": sample.sample,
        "text": sample.text,
        "answer": sample.answer,
        "verdict": sample.verdict,
        "layer": sample.layer,
        "reason": sample.reason,
        "gold": problem.gold,
        "level": problem.level,
        "subject": problem.subject,
        "answer_class": sample.answer_class,
        "finish": sample.finish,
        "stop_reason": sample.stop_reason,
        "tokens": sample.tokens if counted else None,
        "prompt_tokens": sample.usage.prompt_tokens if counted else None,
        "cached_tokens": sample.usage.cached_tokens if counted else None,
        "seconds": sample.usage.seconds,
        "seed": sample.seed,
        "mean_logprob": _finite(sample.mean_logprob),
        "self_certainty": _finite(sample.self_certainty),
        "scores": {
            reward: {
                "whole": _finite(scores.whole),
                "steps": [_finite(score) for score in scores.steps],
            }
            for reward, scores in sample.scores.items()
        },
    }


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write one JSON object per line, gzip-compressed where the name ends in .gz; how many.

    Raises:
        UsageError: the file cannot be written; an older one stays as it was.
    """
    count = 0
    with replacing(path) as partial, partial.open("wb") as raw:
        # no time stamp: equal samples give equal files
        packed = gzip.GzipFile("", "wb", 6, raw, mtime=0) if path.suffix == ".gz" else None
        for row in rows:
            line = json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"
            (packed or raw).write(line.encode())
            count += 1
        if packed is not None:
            packed.close()
    return count


def write_parquet(path: Path, rows: Iterable[Mapping[str, Any]], *, prompts: bool) -> int:
    """Write samples as Parquet (zstd), `scores` as JSON text; how many.

    Raises:
        UsageError: pyarrow is not installed, or the file cannot be written.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise UsageError("Parquet needs pyarrow: pip install pyarrow.") from error
    kinds = {str: pa.string(), int: pa.int64(), float: pa.float64()}
    columns = {**_COLUMNS, **({"prompt": str} if prompts else {})}
    schema = pa.schema([(name, kinds[kind]) for name, kind in columns.items()])
    count = 0
    with (
        replacing(path) as partial,
        pq.ParquetWriter(partial, schema, compression="zstd") as writer,
    ):
        for batch in _batches(rows):
            flat = [{**row, "scores": json.dumps(row["scores"])} for row in batch]
            writer.write_batch(pa.RecordBatch.from_pylist(flat, schema))
            count += len(flat)
    return count


_COLUMNS: dict[str, type] = {
    "benchmark": str,
    "id": str,
    "pool": str,
    "weight_version": int,
    "sample": int,
    "text": str,
    "answer": str,
    "verdict": str,
    "layer": str,
    "reason": str,
    "gold": str,
    "level": str,
    "subject": str,
    "answer_class": int,
    "finish": str,
    "stop_reason": str,
    "tokens": int,
    "prompt_tokens": int,
    "cached_tokens": int,
    "seconds": float,
    "seed": int,
    "mean_logprob": float,
    "self_certainty": float,
    "scores": str,
}


def _batches(rows: Iterable[Mapping[str, Any]]) -> Iterator[Sequence[Mapping[str, Any]]]:
    batch: list[Mapping[str, Any]] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += len(row.get("text") or "") + len(row.get("prompt") or "")
        if len(batch) >= _BATCH_ROWS or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _finite(value: float | None) -> float | None:
    """JSON has no NaN and no infinity: they become null."""
    return value if value is not None and math.isfinite(value) else None
