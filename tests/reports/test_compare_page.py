"""The page of a comparison in Chromium."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from reasonbench.cli import main
from reasonbench.reports.comparison_page import signed
from reasonbench.reports.page import percent
from reasonbench.reports.shown import shown
from tests.reports.browser import DESKTOP, PHONE, Browser
from tests.stored_runs import Drawn, Item, write_run

HOSTILE = '<script>window.broken=1</script>\u202e"><img src=http://example.org/x>\x1b[31m'
RIGHT, WRONG = Drawn(0, True), Drawn(1, False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of twelve problems in two levels, two strategies; B solves more of level 2."""
    folder = tmp_path_factory.mktemp("compared")
    for name, rights in (("a", (3, 1)), ("b", (3, 3))):
        items = {
            f"{HOSTILE}{i}" if i == 11 else f"q{i}": Item(
                [RIGHT] * right + [WRONG] * (4 - right), level=str(1 + i // 6)
            )
            for i in range(12)
            for right in [rights[i // 6]]
        }
        if name == "a":
            items["alone"] = Item([RIGHT] * 4, level="1")
        write_run(folder / name, items, ["cot@4", "maj@4"])
    with sqlite3.connect(folder / "b" / "run.db") as database:
        database.execute("UPDATE problems SET kind = 'integer'")
    with pytest.raises(SystemExit) as ended:
        main(["compare", str(folder / "a"), str(folder / "b"), "--out", str(folder / "out")])
    assert ended.value.code == 0
    return folder


@pytest.mark.parametrize(("size", "dark"), [(PHONE, True), (DESKTOP, False)])
def test_every_chart_has_marks_and_nothing_is_fetched(
    browser: Browser, folder: Path, size: tuple[int, int], dark: bool
) -> None:
    opened = browser.open(folder / "out" / "compare.html", size=size, dark=dark)
    opened.drawn()
    for name in ("differences", "problems", "levels"):
        marks = f"document.querySelectorAll('[data-chart={name}] .mark-symbol path').length"
        assert opened.run(marks) >= 2, name
    assert opened.clean(), (opened.requests, opened.errors)
    assert opened.run("window.broken") is None
    assert opened.run("document.querySelectorAll('main img').length") == 0
    assert opened.run("document.documentElement.scrollWidth") == size[0]


def test_the_numbers_are_those_of_the_data(
    browser: Browser, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["compare", str(folder / "a"), str(folder / "b"), "--json"])
    data = json.loads(capsys.readouterr().out)
    opened = browser.open(folder / "out" / "compare.html", scripts=False)
    rows = opened.texts("#rows tbody tr")
    assert len(rows) == len(data["rows"]) == 2
    for said, row in zip(rows, data["rows"], strict=True):
        for value in (row["a"]["accuracy"], *row["a"]["interval"], row["b"]["accuracy"]):
            assert percent(value) in said
        assert signed(row["difference"]) in said
        assert signed(row["interval"][0]) in said
        assert row["sentence"] in " ".join(opened.texts("p.lead"))
    assert len(opened.texts("#by-level tbody tr")) == 4
    assert len(opened.texts("#changes tbody tr")) == sum(
        len(row["lost"]) + len(row["gained"]) for row in data["rows"]
    )


def test_warnings_and_problems_of_one_run_are_there(browser: Browser, folder: Path) -> None:
    opened = browser.open(folder / "out" / "compare.html", scripts=False)
    assert "kind of answer" in opened.texts(".warning")[0]
    assert any("1 only in A" in said for said in opened.texts("summary"))
    assert shown(f"{HOSTILE}11") in opened.texts("#changes tbody td:first-child")


def test_changed_problems_can_be_filtered_and_linked_to(browser: Browser, folder: Path) -> None:
    opened = browser.open(
        folder / "out" / "compare.html", at="#changes?changes.change=wrong → right&changes.q=q7"
    )
    opened.drawn()
    assert set(opened.texts("#changes tbody td:first-child")) == {"q7"}
    opened.do(lambda p: p.click("#rows th[data-key=difference] button"))
    order = opened.run("[...document.querySelectorAll('#rows td[data-value]')].length")
    assert order > 0
    assert opened.run("document.querySelector('#rows th[data-key=difference]').ariaSort") == (
        "descending"
    )


def test_the_charts_follow_the_chosen_row(browser: Browser, folder: Path) -> None:
    opened = browser.open(folder / "out" / "compare.html")
    opened.drawn()
    marks = (
        "[...document.querySelectorAll('[data-chart=levels] .mark-rule line')]"
        ".map(l => l.getAttribute('transform') + l.getAttribute('x2'))"
    )
    before = opened.run(marks)
    opened.do(lambda p: p.select_option("#row", "1"))
    opened.do(lambda p: p.evaluate("new Promise((done) => setTimeout(done, 300))"))
    assert opened.run(marks) != before
