"""A headless Chromium without a network, for tests of pages.

Playwright's own loop lives on a thread of its own, so that tests before and after may run theirs.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

PHONE = (390, 844)
DESKTOP = (1440, 900)


def missing() -> str:
    """What is not installed, as a sentence; "" where nothing is missing."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "playwright is not installed (pip install 'reasonbench[test]')"
    if shutil.which("chromium") is None:
        return "there is no chromium (apt-get install chromium)"
    return ""


@dataclass
class Opened:
    """A page that was opened.

    Attributes:
        requests: addresses that the page tried to fetch and did not get: all but files.
        errors: what was thrown, and what the console calls an error (a breach of the page's
            content policy too).
    """

    page: Any
    thread: ThreadPoolExecutor
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def do(self, act: Callable[[Any], T]) -> T:
        """What `act` gives for playwright's page; it alone may touch the page."""
        return self.thread.submit(act, self.page).result()

    def run(self, script: str) -> Any:
        """The value of an expression of JavaScript in the page."""
        return self.do(lambda page: page.evaluate(script))

    def texts(self, selector: str) -> list[str]:
        """The text of every element that can be seen."""
        return self.do(
            lambda page: [
                e.inner_text() for e in page.query_selector_all(selector) if e.is_visible()
            ]
        )

    def drawn(self) -> None:
        """Wait until every chart is there."""
        ready = "document.documentElement.dataset.charts === 'drawn'"
        self.do(lambda page: page.wait_for_function(ready, timeout=60_000))

    def shot(self, path: Path, *, whole: bool = True) -> None:
        """A picture (PNG) of the page, or of the part in the window."""
        self.do(lambda page: page.screenshot(path=str(path), full_page=whole))

    def clean(self) -> bool:
        """Whether nothing was asked for and nothing went wrong."""
        return not self.requests and not self.errors


class Browser:
    """Opens pages from files."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._playwright, self._chromium = self._thread.submit(_start).result()

    def open(
        self,
        path: Path,
        *,
        at: str = "",
        size: tuple[int, int] = DESKTOP,
        dark: bool = False,
        scripts: bool = True,
        reach: str | None = None,
    ) -> Opened:
        """The page of a file, loaded.

        Args:
            at: what follows the file's address: `#place?...`.
            size: of the window in pixels.
            dark: what the reader's system prefers.
            scripts: whether they run.
            reach: only for a page that is served: the address that it may fetch from, with which
                `at` begins; then `path` is left out.
        """

        def opening() -> Opened:
            context = self._chromium.new_context(
                viewport={"width": size[0], "height": size[1]},
                color_scheme="dark" if dark else "light",
                java_script_enabled=scripts,
                offline=reach is None,
            )
            opened = Opened(context.new_page(), self._thread)

            def route(asked: Any) -> None:
                url: str = asked.request.url
                if url.startswith(("file:", "data:", "blob:")) or (reach and url.startswith(reach)):
                    asked.continue_()
                else:
                    opened.requests.append(url)
                    asked.abort()

            def said(message: Any) -> None:
                if message.type == "error":
                    opened.errors.append(message.text)

            context.route("**/*", route)
            opened.page.on("console", said)
            opened.page.on("pageerror", lambda error: opened.errors.append(str(error)))
            opened.page.goto(at if reach else path.resolve().as_uri() + at)
            return opened

        return self._thread.submit(opening).result()

    def close(self) -> None:
        """End the browser."""

        def closing() -> None:
            self._chromium.close()
            self._playwright.stop()

        self._thread.submit(closing).result()
        self._thread.shutdown()


def _start() -> tuple[Any, Any]:
    from playwright.sync_api import sync_playwright

    playwright = sync_playwright().start()
    chromium = playwright.chromium.launch(
        executable_path=shutil.which("chromium"),
        args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
    )
    return playwright, chromium
