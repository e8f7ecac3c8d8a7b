"""Shards of an evaluation become the run that one machine would have made."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonbench import shards
from reasonbench.errors import UsageError
from reasonbench.evaluate import evaluate
from reasonbench.merging import Merged, merge
from reasonbench.runs import RunStore
from reasonbench.types import Problem, Question
from tests.evaluation.toy import Silent, Toy, configuration, right
from tests.recorded_files import write_rows
from tests.test_cli import refused, run

FIELDS = {"prompt": "problem", "answer": "answer", "id": "id", "level": "level"}
STRATEGIES = ["cot@4", "maj@4", "wbon@4", "asc@4", "oracle@4"]
COUNT = 11


def shard(folder: Path, spec: str | None, out: str, **more: Any) -> Path:
    """Evaluate recorded completions, or a part of them."""
    rows = [
        {"id": f"q{i}", "problem": f"{i} + {i}?", "answer": str(2 * i), "level": str(i % 3)}
        for i in range(1, COUNT + 1)
    ]
    said = [
        {"id": row["id"], "sample": s, "text": f"\\boxed{{{int(row['answer']) + s * i % 3}}}",
         "tokens": 3 + i, "mean_logprob": -0.1 * (s + 1)}
        for i, row in enumerate(rows)
        for s in range(4)
    ]  # fmt: skip
    settings: dict[str, Any] = {
        "benchmark": [str(write_rows(folder / "adds.jsonl", rows))],
        "model": [str(write_rows(folder / "said.jsonl", said))],
        "engine": "replay",
        "fields": FIELDS,
        "strategy": STRATEGIES,
    }
    config = configuration(folder, **(settings | more), **({} if spec is None else {"shard": spec}))
    asyncio.run(evaluate(config, folder / out, Silent()))
    return folder / out


def merged(folder: Path, *runs: Path, **more: Any) -> Merged:
    return asyncio.run(merge(runs, folder / "merged", **more))


def told(folder: Path, *runs: Path, **more: Any) -> str:
    """The sentence that refuses a merge, which leaves nothing behind."""
    before = sorted(folder.iterdir())
    with pytest.raises(UsageError) as error:
        merged(folder, *runs, **more)
    assert sorted(folder.iterdir()) == before
    return str(error.value)


def results(folder: Path) -> dict[str, Any]:
    """results.json without what depends on the clock and the folder's name."""
    found: dict[str, Any] = json.loads((folder / "results.json").read_text())
    for name in ("name", "created", "written"):
        del found["run"][name]
    del found["run"]["usage"]["generation_seconds"]
    for row in found["rows"]:
        del row["seconds"]
    return found


def change(run: Path, sql: str) -> Path:
    with sqlite3.connect(run / "run.db") as connection:
        assert connection.execute(sql).rowcount
    return run


@given(st.lists(st.sampled_from(["1", "2", None]), min_size=3, max_size=40), st.integers(1, 3))
def test_shards_hold_every_problem_once_and_every_level_in_its_share(
    levels: list[str | None], of: int
) -> None:
    problems = [Problem(Question(f"q{i}", "b", ""), "1", level) for i, level in enumerate(levels)]
    parts = [shards.part("b", problems, shards.Shard(i, of)) for i in range(1, of + 1)]
    assert sorted(p for part in parts for p in part.positions) == list(range(len(levels)))
    sizes = [len(part.positions) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    for level in set(levels):
        held = [sum(levels[p] == level for p in part.positions) for part in parts]
        assert max(held) - min(held) <= 1


@pytest.mark.parametrize("spec", ["0/2", "3/2", "1", "a/b", "1/2/3", "-1/2", "1/0", "²/3"])
def test_a_shard_that_is_none_is_refused(spec: str) -> None:
    with pytest.raises(UsageError, match="--shard"):
        shards.parse(spec)


def test_more_shards_than_problems_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="11 problems, too few for 12 shards"):
        shard(tmp_path, "1/12", "a")


def test_merged_shards_equal_the_run_of_the_whole(tmp_path: Path) -> None:
    whole = shard(tmp_path, None, "whole")
    parts = [shard(tmp_path, f"{i}/3", f"s{i}") for i in (1, 2, 3)]
    done = merged(tmp_path, parts[2], parts[0], parts[1])
    assert done.missing == ()
    assert results(done.folder) == results(whole)
    with RunStore.open(whole) as one, RunStore.open(done.folder) as other:
        assert list(one.problems()) == list(other.problems())
        for series in one.series():
            assert list(one.completions(*series)) == list(other.completions(*series))
            assert list(one.samples(*series)) == list(other.samples(*series))


def test_a_shard_says_that_it_is_one(tmp_path: Path) -> None:
    part = shard(tmp_path, "2/3", "s2")
    found = results(part)
    assert found["protocol"]["notes"] == [
        "adds: shard 2/3, 4 of 11 problems (`reasonbench merge` puts shards together)"
    ]
    assert found["protocol"]["benchmarks"]["adds"]["part"]["shards"] == ["2/3"]
    assert 'shard = "2/3"' in (part / "config.toml").read_text()


def test_shards_of_several_numbers_fit_together(tmp_path: Path) -> None:
    whole = shard(tmp_path, None, "whole")
    parts = [shard(tmp_path, spec, spec.replace("/", "of")) for spec in ("1/2", "2/4", "4/4")]
    assert results(merged(tmp_path, *parts).folder) == results(whole)


def test_problems_that_several_runs_hold_are_there_once(tmp_path: Path) -> None:
    whole = shard(tmp_path, None, "whole")
    parts = [shard(tmp_path, f"{i}/3", f"s{i}") for i in (1, 2)]
    done = merged(tmp_path, parts[0], whole, parts[1])
    expected, found = results(whole), results(done.folder)
    assert found["rows"] == expected["rows"]
    assert found["run"]["graded"] == expected["run"]["graded"]


@pytest.mark.parametrize(
    ("sql", "named"),
    [
        ("UPDATE verdicts SET verdict = 'incorrect' WHERE problem_id = 'q3' AND sample = 0",
         "verdict of verdicts"),
        ("UPDATE completions SET text = 'x' WHERE problem_id = 'q3' AND sample = 0",
         "text of completions"),
        ("UPDATE completions SET mean_logprob = -9 WHERE problem_id = 'q3' AND sample = 0",
         "mean_logprob of completions"),
        ("UPDATE problems SET digest = 'x' WHERE problem_id = 'q3'", "digest of problems"),
        ("UPDATE prompts SET sha256 = 'x' WHERE problem_id = 'q3'", "sha256 of prompts"),
    ],
)  # fmt: skip
def test_rows_that_contradict_each_other_are_refused(tmp_path: Path, sql: str, named: str) -> None:
    whole = shard(tmp_path, None, "whole")
    part = change(shard(tmp_path, "1/1", "part"), sql)
    said = told(tmp_path, whole, part)
    assert str(whole) in said
    assert str(part) in said
    assert "problem q3 of adds" in said
    assert named in said


def test_what_only_depends_on_the_machine_is_no_contradiction(tmp_path: Path) -> None:
    whole = shard(tmp_path, None, "whole")
    part = change(
        shard(tmp_path, "1/1", "part"),
        "UPDATE completions SET seconds = 9, cached_tokens = 3, mean_logprob = mean_logprob + 1e-5",
    )
    assert merged(tmp_path, whole, part).missing == ()


def test_missing_shards_are_named(tmp_path: Path) -> None:
    parts = [shard(tmp_path, f"{i}/4", f"s{i}") for i in (1, 4)]
    assert "shards 2/4, 3/4 are missing" in told(tmp_path, *parts)


def test_missing_problems_are_named_where_shards_cannot_be(tmp_path: Path) -> None:
    parts = [shard(tmp_path, spec, spec.replace("/", "of")) for spec in ("1/2", "2/4")]
    # counted level by level: 1 4 7 10, 2 5 8 11, 3 6 9; the fourth and the eighth are left out
    assert "problems 10, 11 (by position) are missing" in told(tmp_path, *parts)


def test_a_part_is_merged_when_asked_for_and_completed_by_the_same_evaluation(
    tmp_path: Path,
) -> None:
    whole = shard(tmp_path, None, "whole")
    parts = [shard(tmp_path, f"{i}/3", f"s{i}") for i in (1, 3)]
    done = merged(tmp_path, *parts, partial=True)
    assert done.missing == ("adds: shard 2/3 is missing.",)
    (note,) = done.results["protocol"]["notes"]
    assert "shards 1/3, 3/3, 7 of 11 problems" in note
    shard(tmp_path, None, "merged")
    expected, found = results(whole)["rows"], results(done.folder)["rows"]
    # the problems that came later stand last, and floats are summed in another order
    assert [r["accuracy"] for r in found] == pytest.approx([r["accuracy"] for r in expected])
    assert [r["problems"] for r in found] == [r["problems"] for r in expected]


def test_a_part_that_was_merged_merges_again(tmp_path: Path) -> None:
    whole = shard(tmp_path, None, "whole")
    parts = [shard(tmp_path, f"{i}/3", f"s{i}") for i in (1, 2, 3)]
    first = asyncio.run(merge(parts[:2], tmp_path / "first", partial=True))
    assert results(merged(tmp_path, first.folder, parts[2]).folder) == results(whole)


def test_unfinished_problems_are_named(tmp_path: Path) -> None:
    parts = [shard(tmp_path, f"{i}/2", f"s{i}") for i in (1, 2)]
    change(parts[0], "DELETE FROM verdicts WHERE problem_id = 'q1' AND sample > 1")
    said = told(tmp_path, *parts)
    assert "problem q1 is unfinished (of q1 2 of 4 in pool " in said
    assert merged(tmp_path, *parts, partial=True).results["run"]["complete"] is False


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"seed": 3}, "seed is 0 and 3; runs of several seeds are for `reasonbench compare`"),
        ({"strategy": ["cot@2"]}, "configuration: strategy is"),
        ({"limit": 4}, "configuration: limit is not set and 4"),
    ],
)
def test_another_configuration_is_refused(tmp_path: Path, more: dict[str, Any], named: str) -> None:
    first, other = shard(tmp_path, "1/2", "a"), shard(tmp_path, "2/2", "b", **more)
    assert named in told(tmp_path, first, other)


def edit_results(run: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    path = run / "results.json"
    found = json.loads(path.read_text())
    edit(found)
    path.write_text(json.dumps(found))


def test_another_version_of_the_code_is_refused(tmp_path: Path) -> None:
    first, other = shard(tmp_path, "1/2", "a"), shard(tmp_path, "2/2", "b")
    edit_results(other, lambda found: found["stack"]["packages"].update(numpy="0.1"))
    assert "differ in their code: numpy is" in told(tmp_path, first, other)


def test_another_model_is_refused(tmp_path: Path) -> None:
    first, other = shard(tmp_path, "1/2", "a"), shard(tmp_path, "2/2", "b")
    with RunStore.open(other, writable=True) as store:
        model = json.loads(store.meta("model") or "") | {"revision": "abc"}
        store.set_meta("model", json.dumps(model))
    assert "differ in their model: revision is None and 'abc'" in told(tmp_path, first, other)


def test_hardware_may_differ(tmp_path: Path) -> None:
    first, other = shard(tmp_path, "1/2", "a"), shard(tmp_path, "2/2", "b")
    edit_results(other, lambda found: found["stack"].update(cores=512, cpu="another"))
    assert merged(tmp_path, first, other).missing == ()


def test_a_run_given_twice_or_over_another_one_is_refused(tmp_path: Path) -> None:
    first = shard(tmp_path, "1/2", "a")
    assert "twice" in told(tmp_path, first, first)
    (tmp_path / "merged").mkdir()
    (tmp_path / "merged" / "mine.txt").touch()
    assert "there already" in told(tmp_path, first, shard(tmp_path, "2/2", "b"))


def test_sources_stay_as_they_were(tmp_path: Path) -> None:
    parts = [shard(tmp_path, f"{i}/2", f"s{i}") for i in (1, 2)]
    before = {p: (p / "run.db").read_bytes() for p in parts}
    merged(tmp_path, *parts)
    assert {p: (p / "run.db").read_bytes() for p in parts} == before


def test_a_problem_is_asked_by_one_shard_only(tmp_path: Path) -> None:
    served: Counter[tuple[str, int]] = Counter()
    for i in (1, 2):
        toy = Toy(right)
        config = configuration(tmp_path, shard=f"{i}/2")
        asyncio.run(evaluate(config, tmp_path / f"s{i}", Silent(), engine=toy))
        served.update(toy.served)
    assert served == {(f"q{i}", s): 1 for i in range(1, 5) for s in range(4)}


def test_the_command_merges_and_refuses(tmp_path: Path) -> None:
    for i in (1, 2):
        shard(tmp_path, f"{i}/2", f"s{i}")
    said = refused("merge", "s1", "--out", "m", cwd=tmp_path)
    assert "adds: shard 2/2 is missing" in said
    done = run("merge", "s1", "s2", "--out", "m", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "adds · 11 problems" in done.stdout
    assert "no run" in refused("merge", "s1", "nowhere", "--out", "n", cwd=tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_dir()) == ["m", "s1", "s2"]


def test_a_merge_that_is_killed_leaves_no_run(tmp_path: Path) -> None:
    parts = [shard(tmp_path, f"{i}/2", f"s{i}") for i in (1, 2)]
    (parts[1] / "run.db").write_bytes(b"no database")
    told(tmp_path, *parts)
    assert not (tmp_path / "merged").exists()
    shutil.rmtree(parts[1])
