"""The shell of every page: it fetches nothing, escapes everything, sorts, filters and remembers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonbench.reports.page import as_json, environment, page
from reasonbench.reports.shown import short, shown
from tests.reports.browser import PHONE, Browser, Opened

BODY = """{% extends "base.html.j2" %}{% block body %}
<p id="said">{{ said }}</p>
<div class="scroll"><table id="board" class="sortable" data-search>
<thead><tr><th data-key="name" data-filter>Name</th>
<th data-key="score" data-type="number">Score</th></tr></thead>
<tbody>{% for name, score in rows %}<tr><td class="text">{{ name }}</td>
<td class="number" data-value="{{ score }}">{{ score }}</td></tr>{% endfor %}</tbody></table></div>
{{ chart("dots", "Two dots") }}{{ data("extra", said) }}{% endblock %}"""  # fmt: skip

HOSTILE = (
    "<script>window.broken=1</script></script><!-- \u202eevil\u2066 \x1b[31mred\x1b[0m "
    "<img src=http://example.org/x onerror=window.broken=1> \u2028 & \"'{{ 7*7 }}"
)
DOTS: dict[str, Any] = {
    "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
    "data": {"values": [{"x": 1, "name": HOSTILE}, {"x": 2, "name": "b"}]},
    "mark": "point",
    "encoding": {
        "x": {"field": "x", "type": "quantitative"},
        "color": {"field": "name", "type": "nominal"},
        "tooltip": {"field": "name"},
    },
}
ROWS = [("b", 2), ("a", 10), ("c", ""), ("a", 1)]


@pytest.fixture
def shell(tmp_path: Path) -> Path:
    path = tmp_path / "page.html"
    body = environment().from_string(BODY)
    text = page(HOSTILE, body, {"said": HOSTILE, "rows": ROWS}, charts={"dots": DOTS})
    path.write_text(text, encoding="utf-8")
    return path


def column(opened: Opened, place: int) -> list[str]:
    return opened.texts(f"#board tbody td:nth-child({place})")


def test_a_page_fetches_nothing_and_raises_nothing(browser: Browser, shell: Path) -> None:
    opened = browser.open(shell)
    opened.drawn()
    assert opened.requests == []
    assert opened.errors == []
    assert opened.run("document.querySelectorAll('.plot svg .mark-symbol path').length") >= 2


def test_what_it_was_given_is_text(browser: Browser, shell: Path) -> None:
    opened = browser.open(shell)
    opened.drawn()
    assert opened.run("window.broken") is None
    assert opened.run("document.getElementById('said').textContent") == shown(HOSTILE)
    assert "␛[31mred" in shown(HOSTILE)
    assert opened.run("reasonbench.data('extra')") == HOSTILE
    assert opened.run("document.querySelectorAll('img').length") == 0


def test_what_a_chart_tells_of_a_point_is_text(browser: Browser, shell: Path) -> None:
    opened = browser.open(shell)
    opened.drawn()
    opened.do(lambda p: p.hover(".mark-symbol path >> nth=0"))
    opened.do(lambda p: p.wait_for_selector("#vg-tooltip-element.visible"))
    assert "<img src=http" in opened.texts("#vg-tooltip-element")[0]
    assert opened.run("window.broken") is None
    assert opened.clean()


def test_a_head_sorts_down_then_up_and_says_so(browser: Browser, shell: Path) -> None:
    opened = browser.open(shell)
    opened.do(lambda p: p.click("#board th:nth-child(2) button"))
    assert column(opened, 2) == ["10", "2", "1", ""]
    assert opened.run("document.querySelector('#board th:nth-child(2)').ariaSort") == "descending"
    opened.do(lambda p: p.keyboard.press("Enter"))
    assert column(opened, 2) == ["1", "2", "10", ""]
    assert opened.run("document.querySelector('#board th:nth-child(2)').ariaSort") == "ascending"


def test_a_link_keeps_sort_and_filter(browser: Browser, shell: Path) -> None:
    opened = browser.open(shell)
    opened.do(lambda p: p.click("#board th:nth-child(2) button"))
    opened.do(lambda p: p.select_option(".controls select", "a"))
    assert column(opened, 2) == ["10", "1"]
    assert opened.texts(".controls output") == ["2 of 4 rows"]
    again = browser.open(shell, at=opened.run("location.hash"))
    assert column(again, 2) == ["10", "1"]
    again.run("location.hash = '#board?board.q=c'")
    again.do(lambda p: p.wait_for_function("document.querySelector('input').value === 'c'"))
    assert column(again, 1) == ["c"]


def test_without_scripts_the_table_is_there(browser: Browser, shell: Path) -> None:
    opened = browser.open(shell, scripts=False)
    assert column(opened, 1) == ["b", "a", "c", "a"]
    assert opened.texts("button") == []


def test_colours_follow_the_system_and_the_button(browser: Browser, shell: Path) -> None:
    def background() -> str:
        return str(opened.run("getComputedStyle(document.body).backgroundColor"))

    opened = browser.open(shell, dark=True)
    dark = background()
    opened.do(lambda p: p.click("#theme"))
    light = background()
    assert light == "rgb(255, 255, 255)" != dark
    opened.do(lambda p: p.click("#theme"))
    assert background() == dark
    opened.drawn()
    assert opened.run("document.querySelector('[data-chart]').dataset.drawn") == "dark"


def test_a_narrow_page_does_not_scroll_sideways(browser: Browser, shell: Path) -> None:
    opened = browser.open(shell, size=PHONE)
    opened.drawn()
    assert opened.run("document.documentElement.scrollWidth") == PHONE[0]


def test_a_page_without_charts_has_no_runtime() -> None:
    loaded = environment().from_string('{% extends "base.html.j2" %}')
    text = loaded.render(
        title="t", policy="", generator="g", charts={}, chart_data=None, runtime=""
    )
    assert "vegaEmbed=" not in text
    assert len(text) < 40_000


@given(st.text())
def test_json_in_a_script_is_the_value_and_never_ends_it(text: str) -> None:
    written = as_json({"text": text})
    assert json.loads(written) == {"text": text}
    assert not re.search(r"[<>&\u2028\u2029]", written)


def test_json_has_no_nan() -> None:
    with pytest.raises(ValueError, match="JSON"):
        as_json([float("nan")])


@given(st.text(st.characters()))
def test_what_is_shown_has_no_marks_that_act(text: str) -> None:
    said = shown(text)
    assert all(char.isprintable() or char in "\n\t" or ord(char) >= 0xA0 for char in said)
    assert not set(said) & set("\u200e\u200f\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069\u061c")


def test_a_label_is_one_short_line() -> None:
    assert short("a\nb") == "a b"
    assert short("x" * 1_000_000) == "x" * 79 + "…"
