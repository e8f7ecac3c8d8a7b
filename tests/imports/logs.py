"""Small logs in the exact layouts of other harnesses, for tests. Every problem and text is ours."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet

DATE = "2025-03-01T10-20-30.123456"
QUESTIONS = (
    "Ann has two apples and buys three more at the market. How many apples has she?",
    "A train covers 60 miles in one hour and a half. What is its speed in miles an hour?",
)
GOLDS = ("5", "40")
SOLUTIONS = ("2 + 3 = 5.\n#### 5", "60 / 1.5 = 40.\n#### 40")


def write_gsm8k(folder: Path) -> Path:
    """A data folder in which both questions are the whole of GSM8K's test split."""
    file = folder / "data" / "gsm8k" / "test.jsonl"
    file.parent.mkdir(parents=True)
    rows = [{"question": q, "answer": s} for q, s in zip(QUESTIONS, SOLUTIONS, strict=True)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder / "data"


def lm_eval_row(
    doc_id: int, written: Sequence[str], scores: Mapping[str, Any], filtered: str | None = "strict"
) -> dict[str, Any]:
    """A line of lm-evaluation-harness for a generation task; `filtered` None: before 0.4.3."""
    row: dict[str, Any] = {
        "doc_id": doc_id,
        "doc": {"question": QUESTIONS[doc_id], "answer": SOLUTIONS[doc_id]},
        "target": SOLUTIONS[doc_id],
        "arguments": {
            "gen_args_0": {
                "arg_0": f"Question: {QUESTIONS[doc_id]}\nAnswer:",
                "arg_1": {"until": ["Question:"], "do_sample": True, "temperature": 0.6},
            }
        },
        "resps": [list(written)],
        "filtered_resps": ["5"],
    }
    if filtered is not None:
        row |= {"filter": filtered, "metrics": list(scores), "doc_hash": "a" * 64,
                "prompt_hash": "b" * 64, "target_hash": "c" * 64}  # fmt: skip
    return row | dict(scores)


LM_EVAL_RESULTS = {
    "results": {"gsm8k": {"alias": "gsm8k", "exact_match,strict": 0.5}},
    "configs": {
        "gsm8k": {
            "task": "gsm8k",
            "generation_kwargs": {"until": ["Question:"], "do_sample": True, "temperature": 0.6,
                                  "max_gen_toks": 512},
            "repeats": 1,
            "filter_list": [{"name": "strict"}, {"name": "flexible"}],
        }
    },
    "versions": {"gsm8k": 3.0},
    "n-shot": {"gsm8k": 5},
    "config": {"model": "hf", "model_args": "pretrained=maker/model-1b", "model_dtype":
               "torch.bfloat16", "model_sha": "0123abc", "model_num_parameters": 1000,
               "gen_kwargs": "top_p=0.9", "limit": None},
    "lm_eval_version": "0.4.9",
    "model_source": "hf",
    "model_name": "maker/model-1b",
    "chat_template": "{{ messages }}",
}  # fmt: skip


def write_lm_eval(
    folder: Path, rows: Iterable[Mapping[str, Any]], *, task: str = "gsm8k", results: bool = True
) -> Path:
    """`samples_TASK_DATE.jsonl`, and `results_DATE.json` beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    if results:
        text = json.dumps(LM_EVAL_RESULTS, indent=2)
        (folder / f"results_{DATE}.json").write_text(text, encoding="utf-8")
    path = folder / f"samples_{task}_{DATE}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def inspect_sample(at: int, epoch: int, content: Any, value: Any, **more: Any) -> dict[str, Any]:
    """A sample of inspect_ai that answers one of the questions."""
    return {
        "id": at + 1,
        "epoch": epoch,
        "input": QUESTIONS[at],
        "target": GOLDS[at],
        "messages": [{"role": "user", "content": QUESTIONS[at]}],
        "output": {
            "model": "provider/model-2",
            "choices": [
                {"message": {"role": "assistant", "content": content}, "stop_reason": "stop"}
            ],
        },
        "scores": {"match": {"value": value, "answer": "?"}},
        "metadata": {},
        "attachments": {},
        "model_usage": {
            "provider/model-2": {"input_tokens": 20, "input_tokens_cache_read": 5,
                                 "output_tokens": 30, "total_tokens": 55},
            "provider/judge": {"input_tokens": 900, "output_tokens": 900, "total_tokens": 1800},
        },
        "error": None,
        "limit": None,
        **more,
    }  # fmt: skip


def inspect_header(**more: Any) -> dict[str, Any]:
    """The header of a log of inspect_ai."""
    return {
        "version": 2,
        "status": "success",
        "eval": {
            "created": "2025-03-01T10:20:30+00:00",
            "task": "inspect_evals/gsm8k",
            "task_version": 1,
            "dataset": {"name": "gsm8k", "samples": 2},
            "model": "provider/model-2",
            "model_generate_config": {"temperature": 0.7, "max_tokens": 64},
            "config": {"epochs": 2},
            "packages": {"inspect_ai": "0.3.110"},
        },
        "plan": {"name": "plan", "steps": [{"solver": "generate"}], "config": {"top_p": 0.95}},
        "results": {"total_samples": 4, "completed_samples": 4},
        "stats": {"model_usage": {}},
        **more,
    }


def write_inspect_json(path: Path, samples: Sequence[Any], **more: Any) -> Path:
    """A `.json` log."""
    log = inspect_header(**more) | {"samples": samples, "reductions": []}
    path.write_text(json.dumps(log, indent=2), encoding="utf-8")
    return path


def write_inspect(
    path: Path,
    samples: Sequence[Mapping[str, Any]],
    *,
    zstd: bool = False,
    finished: bool = True,
    more: Mapping[str, str] | None = None,
) -> Path:
    """An `.eval` archive; with zstd as inspect_ai writes it since 2026."""
    entries = {f"samples/{s['id']}_epoch_{s['epoch']}.json": json.dumps(s) for s in samples}
    whole = inspect_header()
    start = {name: whole[name] for name in ("version", "eval", "plan")}
    entries["_journal/start.json"] = json.dumps(start)
    if finished:
        entries["header.json"] = json.dumps(whole)
    entries |= more or {}
    if zstd:
        path.write_bytes(_zstd_archive({name: text.encode() for name, text in entries.items()}))
        return path
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in entries.items():
            archive.writestr(name, text)
    return path


def _zstd_archive(entries: Mapping[str, bytes]) -> bytes:
    """A zip whose entries are of method 93, which Python 3.11 cannot write; of two frames each."""
    body, directory = bytearray(), bytearray()
    for name, raw in entries.items():
        frames = []
        for part in (raw[: len(raw) // 2], raw[len(raw) // 2 :]):
            sink = pa.BufferOutputStream()
            with pa.CompressedOutputStream(sink, "zstd") as stream:
                stream.write(part)
            frames.append(sink.getvalue().to_pybytes())
        packed, spelled = b"".join(frames), name.encode()
        about = (
            (20).to_bytes(2, "little") + bytes(2) + (93).to_bytes(2, "little") + bytes(4)
            + zlib.crc32(raw).to_bytes(4, "little") + len(packed).to_bytes(4, "little")
            + len(raw).to_bytes(4, "little") + len(spelled).to_bytes(2, "little") + bytes(2)
        )  # fmt: skip
        directory += (
            b"PK\x01\x02" + bytes(2) + about + bytes(10) + len(body).to_bytes(4, "little") + spelled
        )
        body += b"PK\x03\x04" + about + spelled + packed
    end = (
        b"PK\x05\x06" + bytes(4) + len(entries).to_bytes(2, "little") * 2
        + len(directory).to_bytes(4, "little") + len(body).to_bytes(4, "little") + bytes(2)
    )  # fmt: skip
    return bytes(body + directory + end)


def lighteval_row(
    at: int, written: Sequence[str], metric: Mapping[str, Any], **more: Any
) -> dict[str, Any]:
    """A row of lighteval's details since 0.10."""
    return {
        "doc": {
            "query": f"Question: {QUESTIONS[at]}\nAnswer:",
            "choices": [f" {SOLUTIONS[at]}"],
            "gold_index": 0,
            "id": str(at),
            "task_name": "lighteval|gsm8k",
            "generation_size": 256,
            "num_samples": len(written),
        },
        "metric": dict(metric),
        "model_response": {
            "input": QUESTIONS[at],
            "input_tokens": list(range(11)),
            "text": list(written),
            "output_tokens": [list(range(7 + i)) for i in range(len(written))],
            "reasonings": [None for _ in written],
            "truncated_tokens_count": 0,
            **more,
        },
    }


def old_lighteval_row(at: int, written: str, metric: Mapping[str, Any]) -> dict[str, Any]:
    """A row of lighteval's details before 0.7: texts of Python values."""
    row = {
        "example": QUESTIONS[at],
        "instruction": "",
        "full_prompt": f"Question: {QUESTIONS[at]}\nAnswer:",
        "predictions": [written],
        "input_tokens": [[1, 2, 3]],
        "cont_tokens": [[4, 5]],
        "gold": [SOLUTIONS[at]],
        "choices": [SOLUTIONS[at]],
        "gold_index": [0],
        "metrics": dict(metric),
        "specifics": {},
    }
    return {name: str(value) for name, value in row.items()}


LIGHTEVAL_RESULTS = {
    "config_general": {
        "lighteval_sha": "3fd1526",
        "max_samples": 2,
        "model_name": "maker/model-3",
        "model_config": {
            "model_name": "maker/model-3",
            "revision": "main",
            "dtype": "bfloat16",
            "generation_parameters": {"temperature": 0.6, "max_new_tokens": 256, "top_p": None},
        },
    },
    "results": {"gsm8k:0": {"em": 0.5}},
}


def write_lighteval(folder: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """`details/MAKER/MODEL/DATE/details_TASK_DATE.parquet`, and the results beside `details`."""
    results = folder / "results" / "maker" / "model-3" / f"results_{DATE}.json"
    results.parent.mkdir(parents=True)
    results.write_text(json.dumps(LIGHTEVAL_RESULTS), encoding="utf-8")
    path = (
        folder
        / "details"
        / "maker"
        / "model-3"
        / DATE
        / f"details_lighteval|gsm8k|0_{DATE}.parquet"
    )
    path.parent.mkdir(parents=True)
    parquet.write_table(pa.Table.from_pylist([dict(row) for row in rows]), path)
    return path
