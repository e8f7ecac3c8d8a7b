"""The browser that pages are tested in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.reports.browser import Browser, missing


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium that reaches files only; skips where it is not installed."""
    if why := missing():
        pytest.skip(why)
    made = Browser()
    yield made
    made.close()
