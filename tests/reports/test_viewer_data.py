"""What the viewer writes: everything once, in parts of bounded size, and no text that could act."""

from __future__ import annotations

import json
import re
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonbench.cli import main
from reasonbench.errors import UsageError
from reasonbench.reports.viewer import open_book, write_viewer
from reasonbench.reports.viewer.book import MOST_SOURCES, header
from reasonbench.reports.viewer.records import marks
from reasonbench.reports.viewer.script import html, record_text
from reasonbench.reports.viewer.tally import letter, tally
from reasonbench.reports.viewer.write import LISTED_BYTES, SHARD_BYTES
from reasonbench.runs import RunStore
from reasonbench.runs.stored import StoredSample
from reasonbench.text.reflection import reflection_spans
from tests.reports.viewer_runs import LINE, POOL, TREE, add, problem, write_run

CALL = re.compile(r"viewer\.data\.(listed|shard)\((.*)\);\n", re.DOTALL)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run")


def parts(folder: Path, kind: str) -> list[list[Any]]:
    """The arguments of the calls in the parts of one kind, in order."""
    found = []
    for path in folder.glob(f"data/{kind}-*.js"):
        match = CALL.fullmatch(path.read_text("ascii"))
        assert match is not None
        found.append(json.loads(f"[{match[2]}]"))
    return sorted(found)


def listed(folder: Path) -> dict[str, list[Any]]:
    return {row[1]: row for part in parts(folder, "index") for row in part[2]}


def records(folder: Path, kind: str) -> list[Any]:
    return [one[3] for part in parts(folder, "shard") for one in part[1] if one[2] == kind]


def written(folder: Path, out: Path) -> Path:
    write_viewer(open_book([folder]), out, title="Samples")
    return out


def test_every_sample_is_written_once(run: Path, tmp_path: Path) -> None:
    out = written(run, tmp_path / "out")
    assert len(records(out, "problem")) == 3
    assert len(records(out, "sample")) == 5 + 2 + 3 + 1 + 2  # nobody's tests are left out
    assert sum(map(len, records(out, "nodes"))) == 6


def test_a_row_says_how_the_samples_came_out(run: Path, tmp_path: Path) -> None:
    tallies = {t[0]: t for t in listed(written(run, tmp_path / "out"))["two+two"][-1]}
    sources = header(open_book([run]), chunks=1)["sources"]
    assert [(s["pool"], s["version"], s["step"]) for s in sources] == [
        (POOL, 0, None), (POOL, 30, 300), (TREE, 0, None),
    ]  # fmt: skip
    # right after it looked back, wrong, cut, no answer, not drawn, failed request
    assert tallies[0][3:] == ["Citn.u", 5, 1, 4, 0.25, 1, 1, 1, 1, 7.0]
    assert tallies[1][3:] == ["cc", 2, 2, 2, 1.0, 0, 0, 0, 0, 7.0]


def test_a_sample_has_the_steps_that_were_scored(run: Path, tmp_path: Path) -> None:
    first = records(written(run, tmp_path / "out"), "sample")[0]
    assert len(first["steps"]) == 3
    assert first["scores"] == {"judge": [None, [0.5, 0.25, 0.875]]}  # no bookkeeping
    said = [first["steps"][place][start : start + n] for place, start, n in first["marks"]]
    assert said == ["Wait", "let me check"]


def test_steps_of_another_kind_are_cut_as_they_were_scored(tmp_path: Path) -> None:
    folder = tmp_path / "lines"
    with RunStore.create_or_resume(folder, {}) as store:
        store.add_pool(POOL, {})
        store.add_problems([problem("p", "?")])
        key = add(store, "p", 0, "one\ntwo\nthree", None)
        store.add_score(key, "judge|step=\\n", [0.1, 0.2, 0.3])
    (sample,) = records(written(folder, tmp_path / "out"), "sample")
    assert sample["steps"] == ["one\n", "two\n", "three"]


def test_nothing_in_a_part_could_end_a_script_or_leave_it(run: Path, tmp_path: Path) -> None:
    out = written(run, tmp_path / "out")
    for path in out.glob("data/*.js"):
        text = path.read_text("ascii")
        assert "<" not in text
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text)
    page = (out / "index.html").read_text("utf-8")
    assert "onerror" not in page


@given(st.text(st.characters(), max_size=60))
def test_any_text_comes_back_from_a_record(text: str) -> None:
    line = record_text((0, 0, "sample", {"steps": [text]}))
    assert line.isascii()
    assert "<" not in line
    assert json.loads(line)[3]["steps"] == [text]


@given(st.text(st.sampled_from("wait 𝟜\U0001f600 WAIT,\n"), max_size=40))
def test_marks_are_where_javascript_counts_them(text: str) -> None:
    units = text.encode("utf-16-le")
    said = [units[2 * at : 2 * (at + n)].decode("utf-16-le") for at, n in marks(text)]
    assert said == [text[start:end] for start, end in reflection_spans(text)]


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        (StoredSample(0, "stop", verdict="correct", text="so 4"), "c"),
        (StoredSample(0, "stop", verdict="correct", text="Wait, 4"), "C"),
        (StoredSample(0, "length", verdict="incorrect", answer="5"), "t"),
        (StoredSample(0, "stop", verdict="incorrect"), "n"),
        (StoredSample(0, verdict="incorrect", layer="no answer"), "n"),
        (StoredSample(0, "stop", verdict="incorrect", answer="5"), "i"),
        (StoredSample(0, "stop", verdict="ungraded"), "u"),
        (StoredSample(0, "stop"), "u"),
    ],
)
def test_each_sample_has_one_letter(sample: StoredSample, expected: str) -> None:
    assert letter(sample) == expected


def test_an_ungraded_sample_leaves_the_denominator() -> None:
    found = tally([StoredSample(0, "stop", verdict="correct", text=""), StoredSample(1)])
    assert (found.rate, found.graded, found.ungraded) == (1.0, 1, 1)
    assert tally([StoredSample(0)]).rate is None


def test_parts_are_bounded_and_so_is_memory(tmp_path: Path) -> None:
    folder = tmp_path / "large"
    with RunStore.create_or_resume(folder, {}) as store:
        store.add_pool(POOL, {})
        store.add_problems(problem(f"p{i:04}", "What? " * 30) for i in range(600))
        for i in range(600):
            for k in range(4):
                add(store, f"p{i:04}", k, "Some more words. " * 300, None)
    book = open_book([folder])
    tracemalloc.start()
    found = write_viewer(book, tmp_path / "out", title="Samples")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    sizes = {p.name: p.stat().st_size for p in (tmp_path / "out" / "data").iterdir()}
    assert found.samples == 2400
    assert found.size > 12_000_000
    assert max(n for name, n in sizes.items() if name[0] == "s") < SHARD_BYTES + 1_000
    assert max(n for name, n in sizes.items() if name[0] == "i") < LISTED_BYTES + 1_000
    assert len([name for name in sizes if name[0] == "i"]) > 1
    assert peak < 6_000_000


def test_a_part_of_the_list_knows_its_first_problem(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    with RunStore.create_or_resume(folder, {}) as store:
        store.add_pool(POOL, {})
        store.add_problems(problem(f"p{i:04}", "What? " * 30) for i in range(900))
        add(store, "p0000", 0, "x", None)
    at = 0
    for number, (place, first, rows) in enumerate(parts(written(folder, tmp_path / "o"), "index")):
        assert (place, first) == (number, at)
        at += len(rows)
    assert at == 900


def test_a_long_line_has_a_part_of_its_own(run: Path, tmp_path: Path) -> None:
    out = written(run, tmp_path / "out")
    longest = max(out.glob("data/shard-*.js"), key=lambda path: path.stat().st_size)
    assert longest.read_text("ascii").count(LINE) == 1
    assert longest.stat().st_size < len(LINE) + 2_000


def test_two_runs_share_their_problems(run: Path, tmp_path: Path) -> None:
    second = write_run(tmp_path / "deep" / "run", better=True)
    book = open_book([run, second])
    assert len(book.problems) == 3
    assert [one.name for one in book.runs] == ["run", "run (2)"]
    write_viewer(book, tmp_path / "out", title="Samples")
    tallies = listed(tmp_path / "out")["code"][-1]
    assert [book.sources[t[0]].run for t in tallies] == [0, 1]
    assert [t[7] for t in tallies] == [1.0, 0.0]


def test_an_older_viewer_is_replaced(run: Path, tmp_path: Path) -> None:
    out = written(run, tmp_path / "out")
    (out / "data" / "shard-99.js").write_text("old")
    written(run, out)
    assert not (out / "data" / "shard-99.js").exists()


def test_other_files_are_never_overwritten(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "index.html").write_text("mine")
    with pytest.raises(SystemExit, match="2"):
        main(["view", str(run), "--out", str(mine)])
    assert "something else" in capsys.readouterr().err
    assert [p.name for p in mine.iterdir()] == ["index.html"]
    assert not list(tmp_path.glob(".*"))


def test_the_command_says_what_it_wrote(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main_ = ["view", str(run), "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit, match="0"):
        main(main_)
    assert "3 problems with 13 samples" in capsys.readouterr().out


def test_bad_input_is_one_sentence(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="given twice"):
        open_book([run, run])
    with pytest.raises(UsageError, match="holds no run"):
        open_book([tmp_path])
    with RunStore.create_or_resume(tmp_path / "empty", {}):
        pass
    with pytest.raises(UsageError, match="no samples"):
        open_book([tmp_path / "empty"])
    with RunStore.create_or_resume(tmp_path / "much", {}) as store:
        store.add_problems([problem("p", "?")])
        for version in range(MOST_SOURCES + 1):
            add(store, "p", 0, "x", None, version=version)
    with pytest.raises(UsageError, match="more than a viewer shows"):
        open_book([tmp_path / "much"])


def test_the_policy_allows_what_is_in_the_page_and_files_beside_it(run: Path) -> None:
    text, policy = html("Samples", header(open_book([run]), chunks=0))
    assert "unsafe" not in policy
    assert "http" not in policy
    assert policy.count("sha256-") == text.count("<style>") + text.count("<script>")
    assert f'content="{policy}"' in text
