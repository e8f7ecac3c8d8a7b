"""JSON that is read piece by piece: what comes out is what `json` reads, whatever the pieces."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reasonbench.errors import UsageError
from reasonbench.imports import bounded

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner,
                                                                max_size=4),
    max_leaves=12,
)  # fmt: skip
ONCE = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@ONCE
@given(
    values=st.lists(VALUES, max_size=6), chunk=st.integers(1, 9), indent=st.sampled_from([None, 1])
)
def test_elements(tmp_path: Path, values: list[Any], chunk: int, indent: int | None) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(values, indent=indent), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bounded, "_CHUNK", chunk)
        assert [value for _, value in bounded.elements(path)] == values


@ONCE
@given(
    value=st.dictionaries(st.text(max_size=5), VALUES, max_size=5),
    spread=st.lists(VALUES, max_size=4) | st.dictionaries(st.text(max_size=3), VALUES, max_size=3),
    chunk=st.integers(1, 9),
)
def test_members(tmp_path: Path, value: dict[str, Any], spread: Any, chunk: int) -> None:
    value.pop("samples", None)
    path = tmp_path / "a.json"
    path.write_text(json.dumps({**value, "samples": spread}), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bounded, "_CHUNK", chunk)
        found = [(name, each) for name, _, each in bounded.members(path, "samples")]
    expected = list(spread.items()) if isinstance(spread, dict) else spread
    assert found == [*value.items(), *(("samples", each) for each in expected)]


def test_lines_say_where_they_are(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('[\n {"a": 1},\n\n {"a": 2}\n]', encoding="utf-8")
    assert [line for line, _ in bounded.elements(path)] == [2, 4]


def test_gzip_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"a": 1}\n\n{"a": 2}\n'))
    assert list(bounded.lines(path)) == [(1, {"a": 1}), (3, {"a": 2})]


def test_a_broken_gzip_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"a": 1}\n' * 1000)[:-20])
    with pytest.raises(UsageError, match="broken gzip file"):
        list(bounded.lines(path))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('[{"a": 1}, {"a": "x', "is cut off"),
        ('[{"a": 1}', "is cut off: a ] is missing"),
        ('[{"a": 1} {"a": 2}]', "line 1: '{' where a ] should be"),
        ('[{"a": 1},\n{"a": oops}]', r"line 2: broken JSON"),
        ("[" * 200_000, "nested too deeply"),
        ("[" + "1" * 5000 + "]", "a number that is too long"),
        ("[1] 2", "something follows the end"),
        ('{"a": 1}', r"line 1: '{' where a \[ should be"),
    ],
)
def test_broken_arrays_are_told(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=what):
        list(bounded.elements(path))


def test_other_encodings_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes('["é"]'.encode("latin-1"))
    with pytest.raises(UsageError, match="not UTF-8"):
        list(bounded.elements(path))
    with pytest.raises(UsageError, match="line 1: not UTF-8"):
        list(bounded.lines(path))


def test_what_is_too_large_is_never_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "LARGEST", 1 << 20)
    path = tmp_path / "a.json"
    path.write_text('["' + "a" * (5 << 20) + '"]', encoding="utf-8")
    with pytest.raises(UsageError, match="line 1: a value is longer than 1 MB"):
        list(bounded.elements(path))
    with pytest.raises(UsageError, match="line 1 is longer than 1 MB"):
        list(bounded.lines(path))
    with pytest.raises(UsageError, match="is longer than 1 MB"):
        bounded.whole(path)
