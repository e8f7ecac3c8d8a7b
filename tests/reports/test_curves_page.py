"""The page of training curves in Chromium."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from reasonbench.cli.curves import command
from reasonbench.reports.page import percent
from reasonbench.reports.panels import PANELS
from reasonbench.reports.shown import short
from reasonbench.reports.stages import joined
from reasonbench.reports.training import Evaluated, Step, Training
from reasonbench.reports.training_page import charts, training_page
from tests.reports.browser import DESKTOP, PHONE, Browser, Opened

HOSTILE = '</script><img src=http://example.org/x onerror="window.broken=1">\u202e,"a\x1b[31m'
ONE_EACH = {name: 0.5 for panel in PANELS for name, _ in panel.metrics if not name.endswith("/")}


def training(name: str, steps: int = 60) -> Training:
    """Every metric of every panel, and evaluations at the beginning, the middle and the end."""
    rows = tuple(
        Step(i, i, {**ONE_EACH, "reward/format": i % 2, "entropy": i, "tokens": 1000.0 * i,
                    "seconds": 60.0 * i, HOSTILE: 1.0})
        for i in range(1, steps + 1)
    )  # fmt: skip
    shares = {"problems": 50, "truncated": 0.25, "no_answer": 0.125, "ungraded": 0.0}
    evaluated = tuple(
        Evaluated("sums", strategy, i, 0.3 + i / 200, 0.2, 0.9, 40.0, shares)
        for i in (0, steps // 2, steps)
        for strategy in ("cot@4", "maj@16")
    )
    return Training(name, rows, evaluated)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "curves.html"
    runs = [training("one"), training(HOSTILE)]
    path.write_text(training_page(runs, ["step", "tokens", "time"], 5), encoding="utf-8")
    return path


def paths(opened: Opened, name: str, mark: str = "line") -> list[str]:
    """What the marks of a chart look like."""
    found: list[str] = opened.run(
        f"[...document.querySelectorAll('[data-chart=\"{name}\"] .mark-{mark} path')]"
        ".map((path) => path.getAttribute('d'))"
    )
    return found


def choose(opened: Opened, control: str, value: str) -> None:
    """Choose, and wait until the charts have followed."""
    opened.do(lambda p: p.select_option(f"#{control}", value))
    opened.do(lambda p: p.evaluate("new Promise((done) => setTimeout(done, 300))"))


@pytest.mark.parametrize(("size", "dark"), [(PHONE, True), (DESKTOP, False)])
def test_every_chart_has_marks_and_nothing_is_fetched(
    browser: Browser, page: Path, size: tuple[int, int], dark: bool
) -> None:
    opened = browser.open(page, size=size, dark=dark)
    opened.drawn()
    names = opened.run("[...document.querySelectorAll('[data-chart]')].map(f => f.dataset.chart)")
    assert {panel.name for panel in PANELS} | {"accuracy", "accuracy-length"} <= set(names)
    for name in names:
        assert any(paths(opened, name)), name
    assert any(paths(opened, "accuracy", "area"))
    assert any(paths(opened, "length-spread", "area"))
    assert opened.clean(), (opened.requests, opened.errors)
    assert opened.run("window.broken") is None
    assert opened.run("document.documentElement.scrollWidth") == size[0]


def test_axis_and_smoothing_change_every_chart(browser: Browser, page: Path) -> None:
    opened = browser.open(page)
    opened.drawn()
    assert opened.run("document.getElementById('smooth').value") == "5"
    said = "mean of the last 5 logged values; faint: as logged"
    assert opened.texts(".against")[-1] == f"step · {said}"
    assert opened.texts(".against")[0] == "step"  # evaluations are never smoothed
    smooth, evaluated = paths(opened, "reward"), paths(opened, "accuracy")
    labels = "[...document.querySelectorAll('[data-chart=entropy] text')].map(t => t.textContent)"
    assert "60k" not in opened.run(labels)
    choose(opened, "axis", "a1")
    assert "60k" in opened.run(labels)
    assert opened.texts(".against")[0] == "tokens of training"
    choose(opened, "axis", "a0")
    choose(opened, "smooth", "1")
    # smoothed lines have those that were logged behind them
    assert len(list(filter(None, smooth))) == 2 * len(list(filter(None, paths(opened, "reward"))))
    assert paths(opened, "accuracy") == evaluated
    assert opened.texts(".against")[-1] == "step"
    assert opened.clean(), opened.errors


def test_the_choice_survives_other_colours(browser: Browser, page: Path) -> None:
    opened = browser.open(page)
    opened.drawn()
    choose(opened, "axis", "a2")
    opened.do(lambda p: p.click("#theme"))
    opened.do(lambda p: p.click("#theme"))
    opened.do(lambda p: p.wait_for_selector("html[data-charts=drawn] [data-drawn=dark]"))
    opened.drawn()
    labels = "[...document.querySelectorAll('[data-chart=entropy] text')].map(t => t.textContent)"
    assert "60" in opened.run(labels)
    assert opened.run("document.getElementById('axis').value") == "a2"


def test_the_tables_say_what_the_runs_do(browser: Browser, page: Path) -> None:
    opened = browser.open(page, scripts=False)
    row = opened.texts("#evaluations tbody tr:first-child td")
    assert row[:4] == ["one", "sums", "cot@4", "0"]
    assert row[4] == f"{percent(0.3)} {percent(0.2)}–{percent(0.9)}"
    assert row[5:] == ["50", "25.0", "12.5", "0.0", "40"]
    assert short(HOSTILE, 60) in opened.texts("#metrics tbody td:first-child")
    assert "entropy" in opened.texts("#metrics tbody td:nth-child(2)")


def test_stages_are_marked(browser: Browser, tmp_path: Path) -> None:
    whole = joined([training("sft", 10), training("rl", 20)], "chain")
    path = tmp_path / "curves.html"
    path.write_text(training_page([whole], ["step"]), encoding="utf-8")
    opened = browser.open(path)
    opened.drawn()
    texts = "[...document.querySelectorAll('[data-chart=loss] .mark-text text')]"
    assert {"sft", "rl"} <= set(opened.run(f"{texts}.map((text) => text.textContent)"))
    assert opened.clean(), opened.errors


def test_long_runs_stay_small() -> None:
    made = charts([training("long", 5_000)], ["step", "tokens"], [1, 25], 1)
    values = {chart.name: chart.spec["data"]["values"].count("\n") for chart in made}
    assert values["entropy"] < 500
    assert values["accuracy"] == 7


def test_the_command_writes_the_page(tmp_path: Path) -> None:
    pytest.importorskip("vl_convert")
    (tmp_path / "sft").mkdir()
    (tmp_path / "sft" / "training.json").write_text(
        '{"log": [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}]}'
    )
    out = tmp_path / "out"
    done = CliRunner().invoke(command, [str(tmp_path / "sft"), "--out", str(out), "--join"])
    assert done.exit_code == 0, done.output
    assert "Training curves: sft" in (out / "curves.html").read_text(encoding="utf-8")
