"""An array is read in chunks: no border between two of them may change what it holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reasonbench.errors import UsageError
from reasonbench.runs import rows
from reasonbench.runs.rows import read_values

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**12), 10**12),
    st.floats(allow_nan=False),
    st.text(max_size=6),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rows") / "values.json"


def read(file: Path, text: str, chunk: int) -> list[object]:
    file.write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(rows, "_CHUNK", chunk)
        return [found.value for found in read_values(file)]


@given(st.lists(VALUES, max_size=5), st.integers(1, 12), st.sampled_from([None, 1]))
@settings(max_examples=300, deadline=None)
def test_any_array_is_read_whole_at_any_border(
    file: Path, values: list[object], chunk: int, indent: int | None
) -> None:
    text = json.dumps(values, indent=indent, ensure_ascii=False)
    assert read(file, text, chunk) == values


@pytest.mark.parametrize("number", ["-1.25e-17", "12345678901", "0.5E+3", "-0.0", "1e5", "NaN"])
def test_a_number_that_is_cut_anywhere_is_one_number(file: Path, number: str) -> None:
    for chunk in range(1, len(number) + 6):
        found = read(file, f"[{number},{number}]", chunk)
        assert list(map(repr, found)) == [repr(json.loads(number))] * 2


@pytest.mark.parametrize(
    "text", ["[1.", "[1", "[1e", "[-", "[1.]", "[tru]", "[1 2]", "[01]", "[1]" + " " * 20 + "x"]
)
def test_what_is_no_array_is_told_at_any_border(file: Path, text: str) -> None:
    for chunk in range(1, 8):
        with pytest.raises(UsageError):
            read(file, text, chunk)
