"""Curves of training runs: what is drawn, against what, and that nothing is lost on the way."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from reasonbench.cli.curves import AXES as CHOICES
from reasonbench.cli.curves import command
from reasonbench.errors import UsageError
from reasonbench.reports.panels import PANELS, drawn, known_axes, smoothed, thinned
from reasonbench.reports.training import AXES, as_data, read_training
from reasonbench.reports.vega import overview, picture, render
from reasonbench.runs import RunStore
from reasonbench.runs.training import Evaluation

METRICS = {
    "reward": 0.5, "reward/accuracy": 0.25, "reward/format": 0.75, "accuracy": 0.25,
    "length_p10": 5.0, "length_p50": 10.0, "length_p90": 40.0, "length_correct": 9.0,
    "length_wrong": 12.0, "length_truncated": 64.0, "truncated": 0.1, "entropy": 1.5, "kl": 0.01,
    "clip_low": 0.0, "clip_high": 0.02, "mismatch": 0.01, "ratio_max": 1.5, "groups_flat": 0.5,
    **{f"length_{how}_p{q}": 1.0 * q
       for how in ("correct", "wrong", "truncated") for q in (10, 50, 90)},
    "rollout_seconds": 2.0, "train_seconds": 1.0, "push_seconds": 0.1, "verify_gap": 0.01,
    "reflection": 0.25, "loss": -0.1, "grad_norm": 1.0, "lr": 1e-6, "staleness": 1.0, "margin": 3.0,
}  # fmt: skip


def row(step: int, accuracy: float, strategy: str = "cot", n: int = 8) -> dict[str, Any]:
    """A headline row of results.json, as far as curves read it."""
    return {
        "benchmark": "sums", "strategy": strategy, "options": {}, "metric": "pass@k", "n": n,
        "k": 1 if strategy == "cot" else n, "level": None, "subject": None, "step": step,
        "weight_version": step // 10, "accuracy": accuracy, "problems": 5,
        "interval": [accuracy / 2, 1.0], "tokens_mean": 10.0 + step, "truncated": 0.0,
    }  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Thirty steps of training, evaluated at 0, 10, 20 and 30."""
    folder = tmp_path / "run"
    with RunStore.create_or_resume(folder, {"gpu_price": 7.2}) as store:
        for step in range(1, 31):
            clocks = {"tokens_rollout": 100.0 * step, "tokens_trained": 50.0 * step}
            clocks |= {"flops": 1e12 * step, "seconds": 60.0 * step, "gpu_seconds": 30.0 * step}
            loss = {"loss": math.nan} if step == 7 else {}
            store.add_training(step, METRICS | clocks | loss, weight_version=step)
        for step in range(0, 31, 10):
            store.add_evaluation(Evaluation(step // 10, step, complete=True))
    rows = [row(step, step / 40, name) for step in range(0, 31, 10) for name in ("cot", "maj")]
    rows.append(row(10, 0.9) | {"level": "3"})
    (folder / "results.json").write_text(json.dumps({"schema": 1, "rows": rows}))
    return folder


def test_a_step_stands_where_its_clocks_say(run: Path) -> None:
    training = read_training(run, "run")
    at = {axis: training.places(axis)(20) for axis in AXES}
    assert at == pytest.approx(
        {
            "step": 20.0,
            "tokens": 3000.0,
            "flops": 2e13,
            "gpu-hours": 600 / 3600,
            "time": 20.0,
            "dollars": 7.2 * 600 / 3600,
        }
    )
    assert training.places("tokens")(0) == 0.0
    assert training.places("tokens")(1000) == 4500.0


def test_a_price_given_wins_over_the_runs_own(run: Path) -> None:
    assert read_training(run, "run", gpu_price=3.6).places("dollars")(20) == pytest.approx(0.6)


def test_without_a_gpu_the_machine_is_what_is_paid(tmp_path: Path) -> None:
    with RunStore.create_or_resume(tmp_path / "cpu", {}) as store:
        store.add_training(1, {"seconds": 1800.0})
    training = read_training(tmp_path / "cpu", "cpu", gpu_price=2.0)
    assert training.places("dollars")(1) == pytest.approx(1.0)
    assert training.places("gpu-hours")(1) is None
    assert known_axes([training], list(AXES)) == ["step", "time", "dollars"]


def test_evaluations_are_the_headline_rows(run: Path) -> None:
    found = read_training(run, "run").evaluations
    assert [(e.strategy, e.step, e.accuracy, e.length) for e in found] == [
        (f"{name}@8", step, step / 40, 10.0 + step)
        for step in range(0, 31, 10)
        for name in ("cot", "maj")
    ]


def test_evaluations_that_a_resumed_run_forgot_are_not_drawn(run: Path) -> None:
    with RunStore.open(run, writable=True) as store:
        store.rewind(15, 1)
        store.flush()
    training = read_training(run, "run")
    assert {e.step for e in training.evaluations} == {0, 10}
    assert training.steps[-1].step == 15


def test_data_has_every_metric_and_evaluation_as_json(run: Path) -> None:
    data = json.loads(json.dumps(as_data([read_training(run, "run")]), allow_nan=False))
    assert len(data["steps"]) == 30
    assert METRICS.keys() < data["steps"][0].keys()
    assert data["steps"][6]["loss"] is None
    assert data["steps"][6]["at"]["dollars"] == pytest.approx(0.42)
    first = data["evaluations"][0]
    assert (first["benchmark"], first["strategy"], first["step"]) == ("sums", "cot@8", 0)
    assert (first["accuracy"], first["interval"], first["length"]) == (0.0, [0.0, 1.0], 10.0)


def test_every_metric_has_a_picture(run: Path) -> None:
    pictures = drawn([read_training(run, "run")], "step")
    assert [p.panel.name for p in pictures] == [
        "accuracy",
        "accuracy-length",
        *(panel.name for panel in PANELS),
        "margin",
    ]
    by_name = {p.panel.name: p.points for p in pictures}
    assert {p.series for p in by_name["reward"]} == {"sum", "accuracy", "format"}
    assert {(p.low, p.y, p.high) for p in by_name["length"]} == {(5.0, 10.0, 40.0)}
    assert [p.x for p in by_name["loss"]] == [s for s in range(1, 31) if s != 7]


def test_a_smoothed_line_has_what_was_logged_behind_it(run: Path) -> None:
    pictures = {p.panel.name: p for p in drawn([read_training(run, "run")], "step", 5)}
    for name in ("entropy", "length"):
        assert sum(p.raw for p in pictures[name].points) == 30
        assert "faint: as logged" in str(picture(pictures[name], "step", 5)["title"])
    assert not any(p.raw for p in pictures["accuracy"].points)


def test_seconds_of_a_machine_without_a_gpu_are_no_gpu_hours(tmp_path: Path) -> None:
    with RunStore.create_or_resume(tmp_path / "cpu", {"device": "cpu"}) as store:
        store.add_training(1, {"seconds": 1800.0, "gpu_seconds": 1800.0})
    training = read_training(tmp_path / "cpu", "cpu", gpu_price=2.0)
    assert training.places("gpu-hours")(1) is None
    assert training.places("dollars")(1) == pytest.approx(1.0)
    (row,) = as_data([training])["steps"]
    assert "gpu_seconds" not in row
    assert row["at"]["gpu_hours"] is None


@pytest.mark.parametrize(("sampled", "said"), [(8.0, False), (9.0, True)])
def test_pictures_say_that_groups_were_left_out(tmp_path: Path, sampled: float, said: bool) -> None:
    with RunStore.create_or_resume(tmp_path / "run", {"problems": 8}) as store:
        store.add_training(1, {"accuracy": 0.5, "loss": 1.0, "groups_sampled": sampled})
    pictures = {p.panel.name: p for p in drawn([read_training(tmp_path / "run", "run")], "step")}
    title = str(picture(pictures["accuracy-training"], "step")["title"])
    assert ("those without variance are left out" in title) == said
    assert "left out" not in str(picture(pictures["loss"], "step")["title"])


def test_of_several_lines_the_lowest_is_the_widest(run: Path) -> None:
    pictures = {p.panel.name: p for p in drawn([read_training(run, "run")], "step")}
    pytest.importorskip("vl_convert")
    svg = render(picture(pictures["clip"], "step"), "svg").decode()
    assert re.findall(r'stroke="#(0072B2|D55E00)" stroke-width="(\d[.\d]*)"/>', svg)[:2] == [
        ("0072B2", "5"),
        ("D55E00", "1.5"),
    ]


def test_smoothing_is_the_mean_of_the_last_values() -> None:
    line = [(float(x), y) for x, y in enumerate([1.0, 3.0, 5.0, 9.0])]
    assert smoothed(line, 2) == [(0.0, 1.0), (1.0, 2.0), (2.0, 4.0), (3.0, 7.0)]
    assert smoothed(line, 1) == line
    # no mean reaches back over the beginning of a stage
    assert smoothed(line, 3, [0.0, 1.0]) == [(0.0, 1.0), (1.0, 3.0), (2.0, 5.0), (3.0, 7.0)]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300), st.integers(2, 60))
def test_thinning_keeps_ends_and_extremes(values: list[float], most: int) -> None:
    line = [(float(x), y) for x, y in enumerate(values)]
    kept = thinned(line, most)
    assert kept == sorted(set(kept))
    assert set(kept) <= set(line)
    assert (kept[0], kept[-1]) == (line[0], line[-1])
    assert {y for _, y in kept} >= {min(values), max(values)}
    assert len(kept) <= most + 4


def test_a_log_without_a_store_is_read(tmp_path: Path) -> None:
    rows = [{"step": s, "progress": s / 2, "loss": 3.0 / s, "lr": 0.1} for s in (1, 2)]
    (tmp_path / "training.json").write_text(json.dumps({"config": {}, "log": rows}))
    found = read_training(tmp_path, "sft")
    assert [(s.step, s.metrics) for s in found.steps] == [
        (1, {"loss": 3.0, "lr": 0.1}),
        (2, {"loss": 1.5, "lr": 0.1}),
    ]


@pytest.mark.parametrize("text", ["", "{}", '{"log": 3}', '{"log": [{"loss": 1}]}'])
def test_a_broken_log_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "training.json").write_text(text)
    with pytest.raises(UsageError, match="no log of a training run"):
        read_training(tmp_path, "sft")


def test_json_is_printed_without_drawing(run: Path) -> None:
    result = CliRunner().invoke(command, [str(run), str(run.parent), "--json"])
    assert result.exit_code == 0
    data = json.loads(result.output)
    assert len(data["evaluations"]) == 8


def test_an_axis_that_a_run_does_not_know_is_refused(run: Path, tmp_path: Path) -> None:
    with RunStore.create_or_resume(tmp_path / "other", {}) as store:
        store.add_training(1, {"loss": 1.0})
    arguments = [str(run), str(tmp_path / "other"), "--x", "flops", "--out", str(tmp_path / "out")]
    with pytest.raises(UsageError, match="stand in flops; all say: step"):
        CliRunner().invoke(command, arguments, catch_exceptions=False)


def test_a_folder_without_training_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no training run"):
        CliRunner().invoke(command, [str(tmp_path)], catch_exceptions=False)


def test_choices_are_the_axes() -> None:
    assert tuple(AXES) == CHOICES


def test_runs_are_told_apart_by_colour_and_lines_side_by_side(run: Path) -> None:
    runs = [read_training(run, name) for name in ("a", "b")]
    pictures = {p.panel.name: p for p in drawn(runs, "tokens")}
    spec = picture(pictures["reward"], "tokens")
    assert spec["facet"]["field"] == "series"
    assert spec["spec"]["encoding"]["color"]["field"] == "run"
    assert picture(pictures["entropy"], "tokens")["encoding"]["color"]["sort"] == ["a", "b"]


def test_pictures_are_drawn(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("vl_convert")
    out = tmp_path / "out"
    result = CliRunner().invoke(
        command, [str(run), "--out", str(out), "--x", "step", "--x", "dollars", "--smooth", "3"]
    )
    assert result.exit_code == 0, result.output
    names = {path.name for path in out.iterdir()}
    assert {"overview.png", "accuracy.png", "reward-dollars.png", "margin.png"} <= names
    assert (out / "curves.html").is_file()
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in out.glob("*.png"))


def test_every_picture_has_marks(run: Path) -> None:
    pytest.importorskip("vl_convert")
    runs = [read_training(run, name) for name in ("a", "b")]
    pictures = drawn(runs, "step", 4)
    for one in pictures:
        svg = render(picture(one, "step", 4), "svg").decode()
        assert svg.count('aria-roledescription="line mark"') >= 2, one.panel.name
        assert ("area mark" in svg) == (one.panel.band or one.panel.name == "accuracy")
    whole = overview(pictures, "step")
    assert [one["title"]["text"] for one in whole["concat"]][-1] == PANELS[-1].title
    assert 'aria-roledescription="line mark"' in render(whole, "svg").decode()


def test_drawing_without_its_library_says_what_to_install(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "vl_convert", None)
    with pytest.raises(UsageError, match=r"reasonbench\[report\]"):
        render({}, "png")
