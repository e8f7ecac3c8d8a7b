"""`reasonbench import`, end to end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reasonbench.cli import main
from reasonbench.reports.leaderboard import read_report
from tests.imports.logs import (
    inspect_sample,
    lighteval_row,
    lm_eval_row,
    write_gsm8k,
    write_inspect,
    write_inspect_json,
    write_lighteval,
    write_lm_eval,
)
from tests.test_cli import refused, run

ROWS = [
    lm_eval_row(0, ["The answer is 5."], {"exact_match": 0.0}),
    lm_eval_row(1, ["The answer is \x1b[31m41."], {"exact_match": 0.0}),
]


def test_a_log_becomes_a_run_like_any_other(tmp_path: Path) -> None:
    """Imported once, shown, exported; imported again it is left as it is."""
    path, out = write_lm_eval(tmp_path / "log", ROWS), tmp_path / "run"
    data = write_gsm8k(tmp_path)
    call = ("import", str(path), "--out", str(out), "--data", str(data))
    done = run(*call)
    assert done.returncode == 0, done.stderr
    assert "gsm8k · 2 problems · maker/model-1b" in done.stdout
    assert "labels: 2 compared, 50.00 % agree; we accept 1" in " ".join(done.stdout.split())
    assert "test-0" in done.stdout
    assert "written to" in done.stderr
    results = (out / "results.json").read_bytes()

    again = run(*call)
    assert again.returncode == 0, again.stderr
    assert "holds these logs already" in again.stderr
    assert "labels: 2 compared" in again.stdout
    assert (out / "results.json").read_bytes() == results

    shown = run("show", str(out))
    assert shown.returncode == 0, shown.stderr
    assert "deviates from what is measured here" in " ".join(shown.stdout.split())
    assert "tokens not counted" in run("show", str(out), "--problem", "test-0").stdout
    assert "\x1b[31m" not in run("show", str(out), "--problem", "test-1").stdout
    exported = run("export", str(out), str(tmp_path / "samples.parquet"))
    assert exported.returncode == 0, exported.stderr

    (out / "results.json").unlink()  # as if it had been killed before the end
    resumed = run(*call, "--quiet")
    assert resumed.returncode == 0, resumed.stderr
    before, after = json.loads(results), json.loads((out / "results.json").read_text())
    assert before["rows"] == after["rows"]


def test_json_has_the_agreement(tmp_path: Path) -> None:
    path = write_inspect(tmp_path / "log.eval", [inspect_sample(0, 1, "ANSWER: 6", "C")])
    done = run("import", str(path), "--out", str(tmp_path / "run"), "--json")
    said = json.loads(done.stdout)
    assert said["agreement"]["we_refuse"] == 1
    (found,) = said["agreement"]["disagreements"]
    assert (found["problem_id"], found["gold"], found["answer"]) == ("1", "5", "6")
    assert said["model"]["engine"] == "inspect_ai"


def test_reports_and_the_frontier_read_it(tmp_path: Path) -> None:
    rows = [lighteval_row(at, ["The answer is 5.", "40"], {"em": [1, 0]}) for at in (0, 1)]
    path, out = write_lighteval(tmp_path, rows), tmp_path / "run"
    assert run("import", str(path), "--out", str(out), "--quiet").returncode == 0
    drawn = run("frontier", str(out))
    assert drawn.returncode == 0, drawn.stderr
    report = read_report([out])
    assert "imported from lighteval 3fd1526" in repr(report)


def test_ungraded_samples_survive_regrading(tmp_path: Path) -> None:
    """What names no answer stays ungraded, with its reason, and everything else is graded anew."""
    samples = [inspect_sample(0, 1, "ANSWER: 5", "C"),
               inspect_sample(1, 1, "An essay.", "C", target="A text\nof two lines.")]  # fmt: skip
    path, out = write_inspect_json(tmp_path / "log.json", samples), tmp_path / "run"
    assert run("import", str(path), "--out", str(out), "--quiet").returncode == 0
    done = run("score", str(out), "--regrade", "--json")
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)["rows"][0]
    assert (row["accuracy"], row["ungraded"]) == (1.0, 0.5)


@pytest.mark.parametrize("made", [False, True])
def test_damage_is_one_sentence_and_leaves_nothing(tmp_path: Path, made: bool) -> None:
    path, out = write_lm_eval(tmp_path / "log", ROWS), tmp_path / "run"
    with path.open("a", encoding="utf-8") as file:
        file.write('{"doc_id": 7, ')
    if made:
        out.mkdir()
    said = refused("import", str(path), "--out", str(out), "--data", str(tmp_path), "--quiet")
    assert f"{path}, line 3: broken JSON" in said
    assert out.exists() == made
    assert not made or not list(out.iterdir())


def test_another_file_does_not_go_into_the_same_run(tmp_path: Path) -> None:
    out = tmp_path / "run"
    first = write_inspect_json(tmp_path / "a.json", [inspect_sample(0, 1, "5", "C")])
    assert run("import", str(first), "--out", str(out), "--quiet").returncode == 0
    second = write_inspect_json(tmp_path / "b.json", [inspect_sample(0, 1, "6", "C")])
    said = refused("import", str(second), "--out", str(out), "--quiet")
    assert "holds a run of another configuration" in said


def test_slips_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def told(*args: object) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["import", *map(str, args), "--out", str(tmp_path / "run")])
        assert ended.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line

    first = write_inspect_json(tmp_path / "a.json", [inspect_sample(0, 1, "5", "C")])
    second = write_lm_eval(tmp_path / "log", ROWS)
    strange = tmp_path / "notes.txt"
    strange.write_text("hello", encoding="utf-8")
    assert "did you mean inspect?" in told(first, "--format", "inspct")
    assert "does not exist" in told(tmp_path / "no")
    assert "a run is of one harness" in told(first, second)
    assert "is of no harness that is known" in told(strange)
    assert not (tmp_path / "run").exists()
