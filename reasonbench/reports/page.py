"""Pages: one HTML file each, which fetches nothing, from templates in `assets` and `viewer`.

A body template begins with `{% extends "base.html.j2" %}` and fills `{% block body %}`. In it,
`{{ chart("name", "what it shows") }}` stands for a chart, `{{ inline("file") }}` for the text of a
file beside the templates, and `{{ data("id", value) }}` for JSON that a script reads with
`reasonbench.data("id")`. Every other `{{ … }}` is escaped, and what cannot be seen is written out
(`reasonbench.reports.shown`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reasonbench import __version__
from reasonbench.errors import UsageError
from reasonbench.reports.shown import shown
from reasonbench.reports.vega import VEGA_LITE, Spec

if TYPE_CHECKING:
    from jinja2 import Environment, Template
    from markupsafe import Markup

ASSETS = Path(__file__).parent / "assets"
TEMPLATES = (ASSETS, ASSETS.parent / "viewer")

CLOSED = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline' 'unsafe-eval'; "
    "img-src data: blob:; base-uri 'none'; form-action 'none'"
)
"""The content policy of a page that fetches nothing ('unsafe-eval': vega compiles expressions)."""

_FROM_RIGHT = "\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefe\U00010800-\U00010fff\U0001e800-\U0001efff"
_RIGHT_TO_LEFT = re.compile(rf"([{_FROM_RIGHT}]+(?:\W*[{_FROM_RIGHT}]+)*)")
"""Hebrew, Arabic and the like, with what stands between their words: digits next to them would be
drawn on their other side."""

GENERATOR = "reasonbench"
"""What `<meta name="generator">` begins with in pages of ours."""

DARK: Spec = {
    "background": "transparent",
    "style": {"guide-label": {"fill": "#b6bec9"}, "guide-title": {"fill": "#d5dbe3"}},
    "axis": {"gridColor": "#2b323c", "domainColor": "#6b7684", "tickColor": "#6b7684"},
    "title": {"color": "#e6eaf0", "subtitleColor": "#97a1ae"},
    "header": {"labelColor": "#d5dbe3"},
    "text": {"color": "#d5dbe3"},
    "range": {
        "category": [
            "#4DA6E8", "#F0843C", "#2FC29B", "#E29BC6", "#F2BC4B", "#8FD3F7", "#B095EA", "#B8B8B8",
        ],
    },
}  # fmt: skip
"""What a chart's configuration is replaced by where the page is dark: the same hues, lighter."""


def page(
    title: str,
    body_template: str | Template,
    context: Mapping[str, Any],
    *,
    charts: Mapping[str, Spec] | None = None,
    policy: str = CLOSED,
) -> str:
    """A whole page as HTML.

    Args:
        title: of the window and of the first heading.
        body_template: a template, or the name of one in `TEMPLATES`.
        context: what the template names.
        charts: Vega-Lite descriptions by the name that the template asks for. The runtime (0.9 MB)
            is in the page only where there are any.
        policy: what the page may fetch (Content-Security-Policy).

    Raises:
        UsageError: jinja2 or, where there are charts, vl-convert is not installed.
    """
    charts = charts or {}
    template = environment().get_template(body_template)
    return template.render(
        **context,
        title=title,
        policy=policy,
        generator=f"{GENERATOR} {__version__}",
        charts=charts,
        chart_data={"specs": charts, "dark": DARK} if charts else None,
        runtime=runtime() if charts else "",
    )


def as_json(value: Any) -> str:
    """JSON that may stand in a `<script>`: no `</script>`, no `<!--`, no U+2028 ends or changes it.

    Raises:
        ValueError: NaN or an infinity, which JSON has not.
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@cache
def runtime() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script.

    Raises:
        UsageError: vl-convert is not installed.
    """
    converter = _needed("vl_convert")
    bundle: str = converter.javascript_bundle(vl_version=VEGA_LITE)
    return "(()=>{" + bundle.replace("</script", "<\\/script") + "})();"


@cache
def environment() -> Environment:
    """Where templates are looked up and how they are filled: escaped, strictly.

    Raises:
        UsageError: jinja2 is not installed.
    """
    jinja2 = _needed("jinja2")
    markupsafe = _needed("markupsafe")
    made: Environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )

    def inline(name: str) -> Markup:
        folder = next(f for f in TEMPLATES if (f / name).is_file())
        return markup((folder / name).read_text(encoding="utf-8"))

    def data(name: str, value: Any) -> Markup:
        opened = markup('<script type="application/json" id="{}">').format(name)
        return opened + markup(as_json(value)) + markup("</script>")

    markup: type[Markup] = markupsafe.Markup

    def breaking(text: str) -> Markup:
        """Text that may go on in the next line after a colon or a comma."""
        return markup("<wbr>").join(re.split(r"(?<=[:,/])", shown(text)))

    def prose(text: str) -> Markup:
        """A sentence with names in it: one that is written from the right moves no number."""
        parts = _RIGHT_TO_LEFT.split(shown(text))  # what is written from the right is every second
        isolated = markup("<bdi>{}</bdi>")
        return markup("").join(isolated.format(p) if i % 2 else p for i, p in enumerate(parts))

    made.globals.update(inline=inline, data=data)
    filters = {"breaking": breaking, "percent": percent, "prose": prose, "shown": shown}
    made.filters.update(filters, whole=whole, si=si)
    return made


def percent(value: float | None, digits: int = 1) -> str:
    """A share in [0, 1] in percent without its sign; "–" for none."""
    return "–" if value is None else f"{100 * value:.{digits}f}"


def whole(value: float | None) -> str:
    """A number without decimals, thousands apart; "–" for none."""
    return "–" if value is None else f"{value:,.0f}"


def si(value: float | None) -> str:
    """Three digits and a prefix: "8.22 G"; small numbers with as many decimals as they need."""
    if value is None:
        return "–"
    for size, prefix in ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g} {prefix}"
    return f"{value:.3g}"


def _finalize(value: Any) -> Any:
    """What a template prints: texts shown, what is markup already as it is, None as nothing."""
    if value is None:
        return ""
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return shown(value)
    return value


def _needed(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise UsageError(
            f"pages need {name.replace('_', '-')}: pip install 'reasonbench[report]'."
        ) from None
