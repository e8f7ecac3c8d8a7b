"""The viewer in a browser, from files: what can be found, read, followed, and what cannot act."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reasonbench.reports.shown import shown
from reasonbench.reports.viewer import open_book, write_viewer
from tests.reports.browser import DESKTOP, PHONE, Browser, Opened
from tests.reports.viewer_runs import CODE, HOSTILE, LINE, write_run

LIST = "#/problems?source=run%2Fdrawn%2F0"
PROBLEM = "#/problem/sums/two%2Btwo"
SAMPLES = PROBLEM + "/run/drawn/0"
SEARCH = PROBLEM + "/run/tree/0"
ODD = "#/problem/sums/hostile%2F..%2F..%2Fx%20y"

Open = Callable[..., Opened]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A viewer of one run, and one of two."""
    folder = tmp_path_factory.mktemp("viewer")
    run = write_run(folder / "run")
    second = write_run(folder / "second", better=True)
    write_viewer(open_book([run]), folder / "one", title="Samples of run")
    write_viewer(open_book([run, second]), folder / "two", title="Two runs")
    return folder


@pytest.fixture
def view(browser: Browser, pages: Path) -> Open:
    def opening(at: str = "", *, of: str = "one", **how: Any) -> Opened:
        opened = browser.open(pages / of / "index.html", at=at, **how)
        ready(opened)
        return opened

    return opening


def ready(opened: Opened) -> None:
    """Wait until the list is read and the view stands."""
    opened.do(lambda page: page.wait_for_selector("html[data-listed=all][data-view]"))


def ids(opened: Opened) -> list[str]:
    return opened.texts("#problems tbody th a")


def choose(opened: Opened, name: str, value: str) -> None:
    opened.do(lambda page: page.select_option(f"[data-filter={name}]", value))


def press(opened: Opened, selector: str) -> None:
    opened.do(lambda page: page.click(selector))


def go(opened: Opened, at: str) -> None:
    opened.run(f"void (delete document.documentElement.dataset.view, location.hash = {at!r})")
    ready(opened)


def test_the_list_says_how_each_problem_came_out(view: Open) -> None:
    opened = view(LIST)
    assert ids(opened) == ["two+two", "hostile/../../x y", "code"]
    cells = opened.texts("#problems tbody tr:first-child td")
    assert cells[0] == "1 of 4"
    assert cells[-4:] == ["1", "1", "1", "7"]  # cut, no answer, ungraded, tokens
    assert opened.run("document.querySelector('.stack').ariaLabel") == (
        "1 right, 1 wrong, 1 cut, 1 none, 1 ungraded"
    )
    assert opened.clean()


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        ("right", ["code"]), ("partly", ["two+two", "hostile/../../x y"]), ("wrong", []),
        ("truncated", ["two+two"]), ("none", ["two+two"]), ("ungraded", ["two+two"]),
        ("corrected", ["two+two", "hostile/../../x y"]),
    ],
)  # fmt: skip
def test_outcomes_filter_the_list(view: Open, outcome: str, expected: list[str]) -> None:
    opened = view(LIST)
    choose(opened, "outcome", outcome)
    assert ids(opened) == expected
    assert opened.texts(".controls output") == [f"{len(expected)} of 3 problems"]


def test_a_filtered_list_has_an_address(view: Open) -> None:
    opened = view(LIST)
    choose(opened, "level", "10")
    at = opened.run("location.hash")
    again = view(at)
    assert ids(again) == ["code"]
    assert again.run("document.querySelector('[data-filter=level]').value") == "10"


def test_the_list_sorts_by_its_heads(view: Open) -> None:
    opened = view(LIST)
    press(opened, "th >> text=Right of graded")
    assert ids(opened) == ["code", "hostile/../../x y", "two+two"]
    press(opened, "th >> text=Right of graded")
    assert ids(opened) == ["two+two", "hostile/../../x y", "code"]
    assert opened.run("document.querySelectorAll('th[aria-sort=ascending]').length") == 1


def test_search_reads_questions_and_the_samples_that_are_loaded(view: Open) -> None:
    opened = view(LIST)
    opened.do(lambda page: page.fill("[data-filter=q]", "what is 2"))
    assert ids(opened) == ["two+two"]
    opened.do(lambda page: page.fill("[data-filter=q]", "do not know"))
    assert ids(opened) == []
    go(opened, SAMPLES)
    go(opened, "#/problems?q=do+not+know")
    assert ids(opened) == ["two+two"]


def test_two_runs_show_what_flipped(view: Open) -> None:
    opened = view(LIST + "&with=second%2Fdrawn%2F0", of="two")
    choose(opened, "outcome", "flipped")
    # one of three right in one run and two in the other; all right, all wrong
    assert ids(opened) == ["hostile/../../x y", "code"]
    choose(opened, "outcome", "gained")
    assert ids(opened) == ["code"]
    choose(opened, "outcome", "lost")
    assert ids(opened) == ["hostile/../../x y"]


def test_the_same_problem_in_both_runs(view: Open) -> None:
    opened = view("#/problem/sums/code", of="two")
    assert opened.texts("#board tbody tr td:first-child") == ["run", "second"]


def test_a_sample_has_its_steps_scores_and_verdict(view: Open) -> None:
    opened = view(SAMPLES + "/sample/0")
    assert [t.strip() for t in opened.texts("#sample-0 .step pre")] == [
        "Two and two.", "Wait, let me check: 2+2=4.", "So \\boxed{4}",
    ]  # fmt: skip
    assert opened.texts("#sample-0 .step .digits") == ["0.500", "0.250", "0.875"]
    assert opened.texts("#sample-0 .step mark") == ["Wait", "let me check"]
    facts = " ".join(opened.texts("#sample-0 dl"))
    assert "exact: 4 against 4" in facts
    assert "7 tokens, ended by itself" in facts
    width = "getComputedStyle(document.querySelector('#sample-0 .fill')).width"
    track = "getComputedStyle(document.querySelector('#sample-0 .track')).width"
    assert opened.run(f"parseFloat({width}) / parseFloat({track})") == pytest.approx(
        0.875, abs=0.01
    )
    assert opened.clean()


def test_a_sample_without_a_completion_says_so(view: Open) -> None:
    opened = view(SAMPLES + "/sample/5")
    inside = " ".join(opened.texts("#sample-5"))
    assert "ungraded" in inside
    assert "the server was not there" in inside
    assert "only a verdict is stored" in inside


def test_samples_are_filtered(view: Open) -> None:
    opened = view(SAMPLES)
    opened.do(lambda page: page.select_option("#show", "corrected"))
    assert opened.texts(".candidate > summary b") == ["#0"]
    opened.do(lambda page: page.select_option("#show", "truncated"))
    assert opened.texts(".candidate > summary b") == ["#2"]


def test_a_problem_is_followed_across_weights(view: Open) -> None:
    opened = view(SAMPLES + "/sample/1")
    assert opened.texts("#board tbody th a") == [
        "cot@4, maj@4, weights 0", "cot@4, maj@4, step 300", "beam@2",
    ]  # fmt: skip
    press(opened, "#sample-1 .elsewhere a")
    opened.do(lambda page: page.wait_for_selector("text=Later:"))
    assert opened.run("location.hash") == PROBLEM + "/run/drawn/30/sample/1"
    assert [t.strip() for t in opened.texts("#sample-1 .step pre")] == ["Later: \\boxed{4}"]


def test_a_search_is_a_tree(view: Open) -> None:
    opened = view(SEARCH)
    text = "\n".join(opened.texts("#tree"))
    assert "6 nodes, 1 dropped" in text
    assert "4 × 0.500" in text
    assert "3 × 0.625" in text
    assert "dropped: below the best 1" in text
    assert "Astray <b>." in text
    assert opened.texts("#tree [id='node-0.0'] a.tag") == ["sample 0: ✓ right"]
    press(opened, "text=Close all")
    assert opened.texts("#tree .node") == opened.texts("#node-root")
    press(opened, "text=Open all")
    assert len(opened.texts("#tree .node")) == 5
    press(opened, "text=Only what leads to solutions")
    assert len(opened.texts("#tree .node.leads")) == 4
    assert opened.clean()


def test_a_step_of_a_search_has_an_address(view: Open) -> None:
    opened = view(SEARCH + "/tree/0.1")
    assert opened.texts(".node.current pre") == ["So \\boxed{5}"]
    assert opened.run("document.activeElement.className") == "path"


def test_a_tree_opens_by_the_keyboard(view: Open) -> None:
    opened = view(SEARCH)
    press(opened, "text=Close all")
    opened.run("document.querySelector('#tree details.branches summary').focus()")
    opened.do(lambda page: page.keyboard.press("Enter"))
    opened.do(lambda page: page.wait_for_selector("[id='node-1']", state="visible"))
    opened.run("document.querySelector('.rolled summary').focus()")
    opened.do(lambda page: page.keyboard.press("Enter"))
    assert opened.texts(".rolled .node pre") == ["Rolled out"]


def test_the_list_and_a_sample_are_reached_by_the_keyboard(view: Open) -> None:
    opened = view(LIST)
    opened.run("document.querySelector('#problems tbody a').focus()")
    opened.do(lambda page: page.keyboard.press("Enter"))
    opened.do(lambda page: page.wait_for_selector("#sample-0 summary"))
    opened.run("document.querySelector('#sample-0 summary').focus()")
    opened.do(lambda page: page.keyboard.press("Enter"))
    opened.do(lambda page: page.wait_for_selector("#sample-0 .step"))


def test_nothing_that_a_model_wrote_acts(view: Open) -> None:
    opened = view(ODD + "/run/drawn/0/sample/0")
    assert opened.run("window.broken") is None
    assert opened.run("document.querySelectorAll('main img, main script, main b b').length") == 0
    steps = opened.run(
        "[...document.querySelectorAll('#sample-0 .step pre')].map(e => e.textContent)"
    )
    assert steps == [shown(HOSTILE)] * 2
    assert "‹U+202E›evil" in steps[0]
    assert "␛[31mred" in steps[0]
    assert "␀␇" in steps[0]
    facts = opened.run("document.querySelector('#sample-0 dl').textContent")
    assert facts.count("<script>window.broken=1</script></script><!--") == 2  # answer and reason
    go(opened, SEARCH)
    assert opened.run("window.broken") is None
    assert opened.clean()


def test_hostile_names_stand_in_lists_as_text(view: Open) -> None:
    opened = view(LIST)
    options = opened.run(
        "[...document.querySelectorAll('[data-filter=subject] option')].map(e => e.value)"
    )
    assert shown(HOSTILE) in options
    choose(opened, "subject", shown(HOSTILE))
    assert ids(opened) == ["hostile/../../x y"]
    again = view(opened.run("location.hash"))
    assert ids(again) == ["hostile/../../x y"]
    assert opened.clean()


def test_a_line_of_a_megabyte_is_cut_and_can_be_opened(view: Open) -> None:
    opened = view(ODD + "/run/drawn/0/sample/1", size=PHONE)
    length = "document.querySelector('#sample-1 .step pre').textContent.length"
    assert opened.run(length) < 5_000
    press(opened, "text=Show all (1,000,000 characters)")
    assert opened.run(length) == len(LINE)
    assert opened.run("document.documentElement.scrollWidth") == PHONE[0]


def test_a_program_keeps_its_form(view: Open) -> None:
    opened = view("#/problem/sums/code/run/drawn/0/sample/0")
    assert opened.run("document.querySelector('.step pre').textContent") == CODE.rstrip()
    style = "getComputedStyle(document.querySelector('.step pre'))"
    assert opened.run(f"{style}.whiteSpace") == "pre-wrap"
    assert "mono" in opened.run(f"{style}.fontFamily")


def test_the_runs_table_leads_to_problems_and_back(view: Open) -> None:
    opened = view("#/runs")
    rows = opened.texts("table tbody tr")
    assert rows[0].split("\t")[1:6] == ["cot@4", "pass@1", "25.0", "12.5 – 100.0", "10.0"]
    press(opened, "text=beam@2")
    ready(opened)
    opened.do(lambda page: page.wait_for_selector("#problems"))
    assert ids(opened) == ["two+two"]
    assert "beam@2 pass@2 75.0 % [37.5, 100.0]" in " ".join(opened.texts(".facts"))


def test_addresses_that_lead_nowhere_say_so(view: Open) -> None:
    assert "There is no problem" in " ".join(view("#/problem/sums/nothing").texts("#view"))
    lost = view(PROBLEM + "/other/drawn/0")
    assert "are not in these runs" in " ".join(lost.texts("#view"))
    assert "There is no sample 77" in " ".join(view(SAMPLES + "/sample/77").texts("#view"))
    assert ids(view("#/nonsense/%E0%A4%A"))


def test_a_part_that_is_gone_is_told(browser: Browser, tmp_path: Path) -> None:
    write_viewer(open_book([write_run(tmp_path / "run")]), tmp_path / "out", title="Samples")
    for path in (tmp_path / "out" / "data").glob("shard-*.js"):
        path.unlink()
    opened = browser.open(tmp_path / "out" / "index.html", at=SAMPLES)
    opened.do(lambda page: page.wait_for_selector("[role=alert]:not([hidden])"))
    assert "shard-0.js cannot be read" in " ".join(opened.texts("[role=alert]"))


@pytest.mark.parametrize(
    "markup",
    [
        "<img src=x onerror='broken=1'>",
        "<a href='javascript:broken=1'>x</a>",
        "<iframe srcdoc='<script>parent.broken=1</script>'></iframe>",
        "<details open ontoggle='broken=1'></details>",
    ],
)
def test_markup_would_not_act_either(view: Open, markup: str) -> None:
    opened = view(LIST)
    opened.run(f'void document.body.insertAdjacentHTML("beforeend", "{markup}")')
    opened.run("void document.body.querySelector('a[href^=javascript]')?.click()")
    # two frames later everything that would act has had its turn
    opened.run("new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))")
    assert opened.run("typeof broken") == "undefined"
    assert any("Content Security Policy" in error for error in opened.errors)


@pytest.mark.parametrize("size", [PHONE, DESKTOP])
@pytest.mark.parametrize("at", ["", "#/runs", SAMPLES + "/sample/0", SEARCH, ODD])
def test_no_page_is_wider_than_its_window(view: Open, size: tuple[int, int], at: str) -> None:
    opened = view(at, size=size)
    assert opened.run("document.documentElement.scrollWidth") == size[0]


def test_without_scripts_it_says_what_is_missing(browser: Browser, pages: Path) -> None:
    opened = browser.open(pages / "one" / "index.html", scripts=False)
    assert "scripts are off" in " ".join(opened.texts("noscript, .warning, body"))
