"""Reports: what the page shows, that it fetches nothing, what the command writes and refuses."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from reasonbench.cli.report import OURS, command, priced_report
from reasonbench.errors import UsageError
from reasonbench.reports.charts import report_charts
from reasonbench.reports.leaderboard import read_report
from reasonbench.reports.report_page import report_page
from reasonbench.reports.shown import shown
from tests.reports.browser import DESKTOP, PHONE, Browser, Opened
from tests.reports.report_data import EVIL, LONG, entry, report
from tests.reports.reported_runs import change_plan
from tests.stored_runs import Drawn, Item, write_run

KINDS = {
    "compute", "curve", "reliability", "level", "subject", "cap", "length", "solved", "calibration",
}  # fmt: skip
MARKS = "svg :is(.mark-symbol, .mark-rect, .mark-line, .mark-rule, .mark-area) path"


def written(folder: Path, *, evil: bool = False, viewer: str | None = None) -> Path:
    made = report(evil=evil)
    path = folder / "report.html"
    path.write_text(report_page(made, report_charts(made), viewer=viewer), encoding="utf-8")
    return path


def strategies(opened: Opened) -> list[str]:
    found: list[str] = opened.run(
        "[...document.querySelectorAll('#board tbody tr')].filter((r) => !r.hidden)"
        ".map((r) => r.querySelector('.strategy .clip').textContent)"
    )
    return found


@pytest.mark.parametrize(("size", "dark"), [(DESKTOP, False), (PHONE, True)])
def test_every_chart_is_drawn_and_nothing_fetched(
    browser: Browser, tmp_path: Path, size: tuple[int, int], dark: bool
) -> None:
    opened = browser.open(written(tmp_path), size=size, dark=dark)
    opened.drawn()
    assert (opened.requests, opened.errors) == ([], [])
    charts = opened.run(
        "Object.fromEntries([...document.querySelectorAll('[data-chart]')].map("
        f"(f) => [f.dataset.chart, f.querySelectorAll('{MARKS}').length]))"
    )
    assert {name.split("-")[0] for name in charts} == KINDS
    assert min(charts.values()) > 1
    assert opened.run("document.documentElement.scrollWidth") == size[0]


def test_hostile_names_are_text(browser: Browser, tmp_path: Path) -> None:
    opened = browser.open(written(tmp_path, evil=True), size=PHONE)
    opened.drawn()
    assert (opened.requests, opened.errors) == ([], [])
    assert opened.run("window.broken") is None
    assert opened.run("document.querySelectorAll('img, iframe, object').length") == 0
    text = opened.run("document.getElementById('board').textContent")
    assert shown(EVIL) in text
    assert LONG in text
    assert not set(opened.run("document.body.innerText")) & set("\u202e\u2066\u2028\x1b")
    assert opened.run("document.documentElement.scrollWidth") == PHONE[0]
    tallest = "Math.max(...[...document.querySelectorAll('tr')].map((r) => r.offsetHeight))"
    assert opened.run(tallest) < PHONE[1]
    assert opened.run("document.querySelectorAll('a[href^=javascript]').length") == 0


def test_the_leaderboard_is_there_without_scripts(browser: Browser, tmp_path: Path) -> None:
    opened = browser.open(written(tmp_path), scripts=False)
    assert opened.texts("#board tbody td.strategy .clip") == [
        "oracle@8", "wbon@8:scorer=reward", "maj@8", "cot@8",
    ]  # fmt: skip
    assert "60.0 [55.0, 65.0]" in opened.texts("#board tbody td.number")
    assert len(opened.texts("#papers tbody tr")) == 1


def test_a_link_keeps_how_the_leaderboard_was_sorted_and_filtered(
    browser: Browser, tmp_path: Path
) -> None:
    path = written(tmp_path)
    opened = browser.open(path)
    opened.do(lambda page: page.click("#board th[data-key=accuracy] button"))
    assert strategies(opened)[0] == "oracle@8"
    opened.do(lambda page: page.keyboard.press("Enter"))
    assert strategies(opened)[0] == "cot@8"
    opened.do(lambda page: page.fill(".controls input >> nth=0", "scorer"))
    assert strategies(opened) == ["wbon@8:scorer=reward"]
    link = opened.run("location.hash")
    assert "board.sort=accuracy" in link
    assert strategies(browser.open(path, at=link)) == ["wbon@8:scorer=reward"]
    one = browser.open(path, at="#board?board.strategy=maj%408&board.sort=-decoded")
    assert strategies(one) == ["maj@8"]


def test_ranks_sort_with_the_best_first_and_the_unranked_last(
    browser: Browser, tmp_path: Path
) -> None:
    opened = browser.open(written(tmp_path))
    opened.do(lambda page: page.click("#board th[data-key=rank] button"))
    assert strategies(opened)[-1] == "oracle@8"
    assert opened.run("document.querySelector('th[data-key=rank]').ariaSort") == "ascending"


def test_a_tie_is_not_called_a_win_and_truncation_is_warned_of(tmp_path: Path) -> None:
    html = written(tmp_path).read_text()
    assert "3 of 3 are tied for the first place" in html
    assert html.count("▲ 3.0") == 1  # 3 % of one entry; 2 % and less are within the limit
    assert "▲ 2.0" not in html
    assert "needs the gold answer" in html
    assert "not measured here" in html


def test_the_tables_stand_before_the_scripts(tmp_path: Path) -> None:
    html = written(tmp_path).read_text()
    assert html.index('id="board"') < html.index('id="stack"') < html.index("window.vegaEmbed=")
    assert html.count("<link") == 1  # the icon, which is empty
    ours = html[: html.index("window.vegaEmbed=")].split("reasonbench-charts")[0]
    assert re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="(?!data:)', ours) == []


def test_strategies_link_to_their_samples(tmp_path: Path) -> None:
    html = written(tmp_path, viewer="viewer/index.html").read_text()
    assert 'href="viewer/index.html#/problems?source=run%2Fdrawn%2F0&amp;benchmark=sums"' in html


def test_what_is_not_known_is_a_dash_and_has_no_chart(browser: Browser, tmp_path: Path) -> None:
    nothing = replace(
        report(), rankings=(), compute=(), curves=(), groups=(), caps=(), lengths=(),
        solve_rates=(), calibrations=(), protocols=(), references=(),
    )  # fmt: skip
    unknown = replace(
        entry(0, "cot@8", None), rank=None, truncated=None, mixed=None, flops=None, tokens_p95=None
    )
    nothing = replace(nothing, entries=(unknown,))
    assert report_charts(nothing) == []
    (tmp_path / "report.html").write_text(report_page(nothing, []))
    opened = browser.open(tmp_path / "report.html")
    assert opened.clean()
    assert opened.texts("#board td:first-child") == ["–"]
    assert "None" not in opened.texts("#board")[0]
    assert (tmp_path / "report.html").stat().st_size < 60_000


def test_a_price_makes_dollars_of_seconds_and_gpus() -> None:
    priced = priced_report(report(), 3.6)
    assert [e.dollars for e in priced.entries] == pytest.approx([0.5 * 2 * 3.6 / 3600] * 4)
    by_token = replace(report(), entries=(entry(0, "cot@8", 0.5, dollars=7.0),))
    assert priced_report(by_token, 3.6).entries[0].dollars == 7.0


def run_folder(folder: Path) -> Path:
    items = {
        f"p{i}": Item([Drawn(j % 3, j % 3 == 0 and i % 2 == 0) for j in range(4)], level=str(i % 2))
        for i in range(6)
    }
    write_run(folder, items, ["cot@4", "maj@4", "oracle@4"])
    return folder


def test_the_command_writes_page_tables_and_pictures(browser: Browser, tmp_path: Path) -> None:
    run, out = run_folder(tmp_path / "toy"), tmp_path / "out"
    options = [str(run), "--out", str(out), "--reference", "--gpu-price", "3.6"]
    said = CliRunner().invoke(command, options, catch_exceptions=False)
    assert said.exit_code == 0
    assert "3 entries" in said.output
    assert {"report.html", "leaderboard.md", "leaderboard.csv", "leaderboard.tex", "charts"} <= {
        path.name for path in out.iterdir()
    }
    names = {chart.name for chart in report_charts(read_report([run]))}
    for name in names:
        assert (out / "charts" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (out / "charts" / f"{name}.svg").read_text().startswith("<svg")
    opened = browser.open(out / "report.html")
    opened.drawn()
    assert opened.clean()
    row = next(r for r in json.loads((run / "results.json").read_text())["rows"]
               if r["strategy"] == "maj" and r["k"] == 4 and r["level"] is None)  # fmt: skip
    shown_accuracy = opened.run(
        "document.querySelector('#board tr:has([data-value=\"maj@4\"]) strong').textContent"
    )
    assert shown_accuracy == f"{100 * row['accuracy']:.1f}"


def test_an_earlier_report_leaves_nothing_of_ours_and_loses_nothing_of_others(
    tmp_path: Path,
) -> None:
    """Two models, then one: folders of models go, but for what somebody else put there."""
    out = tmp_path / "out"
    for name in ("a", "b"):
        folder = tmp_path / name
        write_run(folder, {"p": Item([Drawn(0, True)]), "q": Item([Drawn(1, False)])}, ["cot@1"],
                  model=f"maker/{name}", benchmark="gsm8k")  # fmt: skip
        change_plan(folder, {"source": "hub:openai/gsm8k"})

    def write(*runs: str) -> set[str]:
        options = [*(str(tmp_path / run) for run in runs), "--out", str(out), "--no-pictures"]
        done = CliRunner().invoke(command, options, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}

    both = write("a", "b")
    kept = {"maker-a/.eval_results/mine.yaml", "maker-b/notes.md"}
    assert {
        "maker-a/.eval_results/gsm8k-cot-1.yaml",
        "maker-b/.eval_results/gsm8k-cot-1.yaml",
    } < both
    for name in kept:
        (out / name).write_text("mine")
    one = write("a")
    assert one == kept | {"report.html", "leaderboard.md", "leaderboard.csv", "leaderboard.tex",
                          ".eval_results/gsm8k-cot-1.yaml"}  # fmt: skip
    assert not (out / "maker-b/.eval_results").exists()


def test_a_file_of_others_is_never_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "out"
    made = report()
    folder = run_folder(tmp_path / "toy")
    out.mkdir()
    (out / "report.html").write_text(report_page(made, [], made=["leaderboard.md"]))
    (out / "leaderboard.csv").write_text("mine")
    with pytest.raises(UsageError, match=r"leaderboard\.csv, but not of a report"):
        CliRunner().invoke(
            command, [str(folder), "--out", str(out), "--no-pictures"], catch_exceptions=False
        )
    assert (out / "leaderboard.csv").read_text() == "mine"
    assert not (out / "leaderboard.tex").exists()


def test_names_that_an_earlier_page_must_not_have_are_left_alone() -> None:
    named = ["../x/.eval_results/a.yaml", "/etc/.eval_results/a.yaml", "..//.eval_results/a.yaml",
             "charts/../leaderboard.md", "a/b/.eval_results/a.yaml", ".eval_results/.yaml",
             "charts/a.txt", "report.html", "../.eval_results/a.yaml"]  # fmt: skip
    assert [name for name in named if OURS.fullmatch(name)] == []
    ours = ["m.1/.eval_results/a-1.yaml", ".eval_results/a.yaml", "charts/curve-x-2.svg"]
    assert all(map(OURS.fullmatch, ours))


def test_an_earlier_report_is_replaced_and_its_charts_go(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "charts").mkdir(parents=True)
    made = report()
    old = report_page(made, report_charts(made), made=["charts/old.png", "../kept", "notes.txt"])
    (out / "report.html").write_text(old)
    for name in ("charts/old.png", "charts/mine.png", "notes.txt"):
        (out / name).write_text("x")
    (tmp_path / "kept").write_text("x")
    options = [str(run_folder(tmp_path / "toy")), "--out", str(out), "--no-pictures"]
    assert CliRunner().invoke(command, options, catch_exceptions=False).exit_code == 0
    assert not (out / "charts/old.png").exists()
    assert (out / "charts/mine.png").exists()
    assert (out / "notes.txt").exists()
    assert (tmp_path / "kept").exists()


@pytest.mark.parametrize("name", ["report.html", "leaderboard.csv", "charts"])
def test_what_is_no_report_of_ours_is_not_overwritten(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(UsageError, match="not"):
        CliRunner().invoke(command, ["nowhere", "--out", str(tmp_path)], catch_exceptions=False)
    assert (tmp_path / name).read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 1


def test_bad_input_is_one_sentence_and_writes_nothing(tmp_path: Path) -> None:
    for run in (tmp_path / "nothing", tmp_path):
        with pytest.raises(UsageError):
            CliRunner().invoke(
                command, [str(run), "--out", str(tmp_path / "out")], catch_exceptions=False
            )
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        CliRunner().invoke(command, ["x", "--out", str(tmp_path / "file")], catch_exceptions=False)
    assert not (tmp_path / "out").exists()


def test_charts_have_names_of_their_own_and_only_files_letters() -> None:
    made = report_charts(report(evil=True))
    names = [chart.name for chart in made]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9-]+", name) for name in names)


def test_a_run_without_a_result_says_so(tmp_path: Path) -> None:
    write_run(tmp_path / "empty", {"p": Item([])}, ["cot@4", "oracle@4"])
    made = read_report([tmp_path / "empty"])
    html = report_page(made, report_charts(made))
    assert '<p class="lead">No results yet, 0 graded samples' in html
    assert "No strategy has a result yet." in html
    assert 'id="board"' not in html


def test_names_from_the_right_move_no_number() -> None:
    """A number behind Hebrew would be drawn before it: "סכומים: 4 entries"."""
    made = report()
    name = "סכומים של"
    entries = tuple(replace(one, benchmark=name) for one in made.entries)
    rankings = tuple(replace(one, benchmark=name) for one in made.rankings)
    html = report_page(replace(made, benchmarks=(name,), entries=entries, rankings=rankings), [])
    assert f"on <bdi>{name}</bdi>: " in html
    assert f"<strong><bdi>{name}</bdi></strong>: " in html


def test_prose_is_escaped_all_the_same() -> None:
    made = replace(report(), notes=("<b>שלום</b> & 3 \u202e4",))
    html = report_page(made, [])
    assert "&lt;b&gt;<bdi>שלום</bdi>&lt;/b&gt; &amp; 3 ‹U+202E›4" in html
