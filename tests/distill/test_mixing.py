"""General data at a share."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonbench.distill.mixing import Mix, checked, parse_mix, parse_mixes, rows_of, spread, take
from reasonbench.distill.sheet import write_sheet
from reasonbench.errors import UsageError
from tests.recorded_files import write_rows

GENERAL = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yo"}]}


def general(folder: Path, count: int, name: str = "general.jsonl") -> Path:
    return write_rows(folder / name, ({**GENERAL, "n": n} for n in range(count)))


def test_the_share_is_that_of_all_rows(tmp_path: Path) -> None:
    mixes = (Mix(general(tmp_path, 100), 0.25), Mix(general(tmp_path, 100, "b.jsonl"), 0.25))
    first, second = take(mixes, 60, seed=0)
    # 60 distilled rows are one half, so each file gives 30 of 120
    assert (len(first.chosen), len(second.chosen)) == (30, 30)
    assert len(list(rows_of(first))) == 30


def test_a_small_file_is_taken_once_and_whole(tmp_path: Path) -> None:
    (taken,) = take((Mix(general(tmp_path, 5), 0.9),), 60, seed=0)
    assert [row["n"] for row in rows_of(taken)] == [0, 1, 2, 3, 4]


def test_a_row_gets_an_id_that_no_other_has_and_keeps_its_own_beside_it(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "g.jsonl", [GENERAL, {**GENERAL, "id": "mine"}])
    (taken,) = take((Mix(path, 0.5),), 2, seed=0)
    found = list(rows_of(taken))
    assert [row["id"] for row in found] == ["mix/g.jsonl/0", "mix/g.jsonl/1"]
    assert [row["source"].get("id") for row in found] == [None, "mine"]


@pytest.mark.parametrize("own", ["openhermes", {"kind": "sampled", "run": "run"}])
def test_a_source_of_its_own_does_not_hide_that_a_row_is_mixed_in(
    own: object, tmp_path: Path
) -> None:
    path = write_rows(tmp_path / "g.jsonl", [{**GENERAL, "source": own}])
    (taken,) = take((Mix(path, 0.5),), 1, seed=0)
    (row,) = rows_of(taken)
    assert row["source"] == {"kind": "mix", "file": "g.jsonl", "own": own}
    assert write_sheet([row], tmp_path / "sheet.jsonl") == 0


@pytest.mark.parametrize("spec", ["general.jsonl", "general.jsonl:2", "general.jsonl:x", ":0.5"])
def test_another_form_than_file_and_share_is_refused(spec: str, tmp_path: Path) -> None:
    general(tmp_path, 1)
    with pytest.raises(UsageError, match="FILE:SHARE"):
        parse_mix(str(tmp_path / spec) if not spec.startswith(":") else spec)


def test_shares_must_leave_room(tmp_path: Path) -> None:
    path = general(tmp_path, 1)
    with pytest.raises(UsageError, match="less than 1"):
        parse_mixes([f"{path}:0.6", f"{path}:0.5"])


def test_a_row_that_cannot_be_trained_on_is_named(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "g.jsonl", [GENERAL, {"messages": [{"role": "user"}]}])
    with pytest.raises(UsageError, match="record 2"):
        checked(path)


@given(st.integers(0, 30), st.integers(0, 30))
def test_spreading_keeps_both_orders_and_spaces_them_evenly(first: int, more: int) -> None:
    found = list(
        spread((f"a{i}" for i in range(first)), first, (f"b{i}" for i in range(more)), more)
    )
    assert [x for x in found if x[0] == "a"] == [f"a{i}" for i in range(first)]
    assert [x for x in found if x[0] == "b"] == [f"b{i}" for i in range(more)]
    for at in range(len(found) if first and more else 0):
        mine = sum(x[0] == "a" for x in found[: at + 1])
        others = at + 1 - mine
        assert abs(others - mine * more / first) < 1 + more / first
