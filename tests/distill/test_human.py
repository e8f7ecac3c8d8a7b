"""Editing by people: there and back, and what changed is graded."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonbench.distill.human import export_sheet, import_sheet
from reasonbench.distill.sheet import read_sheet, response_of, write_sheet
from reasonbench.errors import UsageError
from tests.distill.material import Writing, config, responses, rows, run, sum_of
from tests.recorded_files import write_rows


def teacher(problem: str, sample: int) -> str:
    """The first is right, the second one too large."""
    return f"Sum number {sample}: \\boxed{{{sum_of(problem) + sample}}}"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Four rows, four rejects, one row of general data."""
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yo"}]
    general = write_rows(tmp_path / "general.jsonl", [{"messages": turns}] * 3)
    run(
        config(tmp_path, {"strategy": ["cot@2"]}, mix=[f"{general}:0.2"]),
        tmp_path / "out",
        Writing(teacher),
    )
    return tmp_path / "out"


def imported(out: Path, sheet: Path, **options: Any) -> dict[str, int]:
    return dict(asyncio.run(import_sheet(out, sheet, **options)).counts)


@pytest.mark.parametrize("name", ["sheet.md", "sheet.jsonl"])
def test_what_comes_back_unchanged_is_the_dataset(out: Path, name: str, tmp_path: Path) -> None:
    assert export_sheet(out, tmp_path / name) == 4
    assert imported(out, tmp_path / name) == {"unchanged": 5}
    assert rows(out / "edited.jsonl") == rows(out / "data.jsonl")


def test_general_data_is_not_edited(out: Path, tmp_path: Path) -> None:
    (name,) = (row["id"] for row in rows(out / "data.jsonl") if row["source"]["kind"] == "mix")
    sheet = write_rows(tmp_path / "sheet.jsonl", [{"id": name, "response": "Hello"}])
    with pytest.raises(UsageError, match=r"line 1: mix/general\.jsonl/\d is general data"):
        imported(out, sheet)


def test_an_edit_is_graded_again(out: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.md"
    export_sheet(out, sheet)
    text = sheet.read_text()
    text = text.replace("Sum number 0: \\boxed{2}", "One and one make \\boxed{2}")
    text = text.replace("Sum number 0: \\boxed{4}", "Two and two make \\boxed{5}")
    text = text.replace("Sum number 0: \\boxed{6}", "")
    sheet.write_text(text)
    before = (out / "data.jsonl").read_bytes()
    assert imported(out, sheet) == {
        "unchanged": 2, "edited": 1, "refused: incorrect": 1, "dropped": 1
    }  # fmt: skip
    found = rows(out / "edited.jsonl")
    assert responses(found)[0] == "One and one make \\boxed{2}"
    assert found[0]["source"]["edited"] is True
    assert found[0]["source"]["answer"] == "2"
    assert "tokens" not in found[0]["source"]  # what the teacher wrote is not there any more
    (refused,) = rows(out / "edited.rejects.jsonl")
    assert (refused["reason"], refused["source"]["answer"]) == ("incorrect", "5")
    assert (out / "data.jsonl").read_bytes() == before


def test_a_mended_reject_becomes_a_row(out: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "rejects.jsonl"
    assert export_sheet(out, sheet, rejects=True) == 4
    lines = rows(sheet)
    assert lines[0]["reason"] == "incorrect"
    lines[0]["response"] = "It is \\boxed{2}"
    write_rows(sheet, lines)
    assert imported(out, sheet) == {"unchanged": 5, "added": 1}
    added = rows(out / "edited.jsonl")[-1]
    assert added["messages"][-1]["content"] == "It is \\boxed{2}"
    assert added["messages"][0]["content"].startswith("What is 1 + 1?")
    assert "tokens" not in added["source"]


def test_rows_that_the_sheet_does_not_name_stay_unless_told(out: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.jsonl"
    export_sheet(out, sheet, limit=1)
    assert imported(out, sheet) == {"unchanged": 5}
    # general data was never exported
    assert imported(out, sheet, drop_missing=True) == {"unchanged": 2, "dropped": 3}


def test_the_filters_of_the_distillation_hold_for_edits(out: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.md"
    export_sheet(out, sheet)
    mixed = "我们把两个数字加起来。 We add both numbers and then we have it. \\boxed{2}"
    sheet.write_text(sheet.read_text().replace("Sum number 0: \\boxed{2}", mixed))
    assert imported(out, sheet) == {"unchanged": 4, "refused: mixed languages": 1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('/0" -->', '/7" -->'), "no row"),
        (("<!-- end", "<!-- ending"), "no end"),
        (("<!-- response", "<!-- respond"), "without its response"),
    ],
)
def test_a_broken_sheet_is_refused_as_a_whole(
    out: Path, tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    sheet = tmp_path / "sheet.md"
    export_sheet(out, sheet)
    sheet.write_text(sheet.read_text().replace(*change))
    with pytest.raises(UsageError, match=message):
        imported(out, sheet)
    assert not (out / "edited.jsonl").exists()


def test_a_row_that_is_there_twice_is_refused(out: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.jsonl"
    export_sheet(out, sheet)
    sheet.write_text(sheet.read_text() * 2)
    with pytest.raises(UsageError, match="twice"):
        imported(out, sheet)


@given(
    st.lists(
        st.one_of(
            st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40),
            st.sampled_from(['<!-- end "a" -->', '\\<!-- response "b" -->', "", "```", "# x"]),
        ),
        min_size=1,
        max_size=8,
    ).map("\n".join)
)
def test_any_response_comes_back_as_it_was(response: str) -> None:
    import tempfile

    row = {"id": 'run/"q"/0', "question": response, "response": response.strip()}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("s.md", "s.jsonl"):
            path = Path(folder) / name
            write_sheet([row], path)
            assert read_sheet(path)[row["id"]].response == response_of(row).strip()


def test_a_response_in_prompt_form_keeps_its_form(tmp_path: Path) -> None:
    run(
        config(tmp_path, {"strategy": ["cot@1"]}, form="prompt"),
        tmp_path / "out",
        Writing(lambda p, s: f"<think>hm</think>It is \\boxed{{{sum_of(p)}}}"),
    )
    sheet = tmp_path / "sheet.jsonl"
    export_sheet(tmp_path / "out", sheet)
    lines = rows(sheet)
    lines[0]["response"] = "<think>well</think>It is \\boxed{2}"
    write_rows(sheet, lines)
    assert imported(tmp_path / "out", sheet)["edited"] == 1
    first = rows(tmp_path / "out" / "edited.jsonl")[0]
    assert first["completion"] == "<think>well</think>It is \\boxed{2}"
    assert first["enable_thinking"] is True
    assert json.dumps(first["prompt"]).startswith('[{"role": "user"')
