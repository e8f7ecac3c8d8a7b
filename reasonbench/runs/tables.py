"""Rows of results.json as a table for a page or a paper. Every text is escaped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]

_COLUMNS = (
    "Model",
    "Benchmark",
    "Strategy",
    "Metric",
    "Group",
    "Accuracy (%)",
    "95% interval",
    "Problems",
    "Cut (%)",
    "No answer (%)",
    "Ungraded (%)",
    "Tokens",
)
_TEXTS = 5
"""So many columns hold text; those after them hold numbers."""


def markdown(model: Mapping[str, Any], rows: Sequence[Row]) -> str:
    """A table in GitHub's Markdown."""
    lines = [
        _COLUMNS,
        ["---"] * _TEXTS + ["---:"] * (len(_COLUMNS) - _TEXTS),
        *(_cells(model, row, markdown_text) for row in rows),
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def latex(model: Mapping[str, Any], rows: Sequence[Row]) -> str:
    """A `tabular` with the rules of the booktabs package."""
    head = " & ".join(latex_text(name) for name in _COLUMNS)
    body = "".join(f"{' & '.join(_cells(model, row, latex_text))} \\\\\n" for row in rows)
    columns = "l" * _TEXTS + "r" * (len(_COLUMNS) - _TEXTS)
    return (
        "% needs \\usepackage{booktabs}\n"
        f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n{head} \\\\\n\\midrule\n{body}"
        "\\bottomrule\n\\end{tabular}\n"
    )


def is_headline(row: Row) -> bool:
    """Whether a row stands for its strategy: all problems, at the k that the strategy is for."""
    return (
        row["level"] is None
        and row["subject"] is None
        and row["metric"] not in ("pass^k", "g-pass@k")
        and (row["strategy"] == "cot" or row["k"] == row["n"])
    )


def model_label(model: Mapping[str, Any]) -> str:
    """The model's name with its adapter and its quantisation."""
    lora = f" + {model['lora']}" if model.get("lora") else ""
    quantised = f" ({model['quantization']})" if model.get("quantization") else ""
    return f"{model.get('model', '')}{lora}{quantised}"


def strategy_label(row: Row) -> str:
    """A strategy as it is spelled on the command line."""
    options = ",".join(
        f"{name}={str(value).lower() if isinstance(value, bool) else value}"
        for name, value in row["options"].items()
    )
    return f"{row['strategy']}@{row['n']}" + (f":{options}" if options else "")


def markdown_text(text: str) -> str:
    """Text that Markdown shows as it is, in one table cell."""
    return "".join(_MARKDOWN.get(char, char) for char in _one_line(text))


def latex_text(text: str) -> str:
    """Text that LaTeX sets as it is, in one table cell."""
    escaped = "".join(_LATEX.get(char, char) for char in _one_line(text))
    # two hyphens in a row would become a dash
    return escaped.replace("--", "-{}-").replace("--", "-{}-")


_MARKDOWN = {
    **{char: f"\\{char}" for char in "\\`*_{}[]|#~$"},
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
}
_LATEX = {
    **{char: f"\\{char}" for char in "&%$#_{}"},
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "<": "\\textless{}",
    ">": "\\textgreater{}",
    "|": "\\textbar{}",
    "`": "\\textasciigrave{}",
    # after the end of a row, a bracket or a star would be read as its argument
    "[": "{[}",
    "*": "{*}",
}


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)


def _cells(model: Mapping[str, Any], row: Row, escape: Callable[[str], str]) -> list[str]:
    metric = str(row["metric"]).replace("@k", f"@{row['k']}").replace("^k", f"^{row['k']}")
    parts = ("step", "level", "subject")
    group = [f"{part} {row[part]}" for part in parts if row.get(part) is not None]
    low, high = row["interval"]
    interval = "" if low is None or high is None else f"[{_percent(low)}, {_percent(high)}]"
    tokens = row.get("decode_tokens")
    return [
        escape(cell)
        for cell in (
            model_label(model),
            str(row["benchmark"]),
            strategy_label(row),
            metric,
            ", ".join(group) or "all",
            _percent(row["accuracy"]),
            interval,
            str(row["problems"]),
            _percent(row["truncated"]),
            _percent(row["no_answer"]),
            _percent(row["ungraded"]),
            "" if tokens is None else f"{tokens:.0f}",
        )
    ]


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"
