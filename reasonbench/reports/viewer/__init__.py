"""The sample viewer: every problem, candidate, step and search of runs, to look at in a browser."""

from __future__ import annotations

from reasonbench.reports.viewer.book import Book, Source, open_book
from reasonbench.reports.viewer.serve import Server, serve
from reasonbench.reports.viewer.write import Written, write_viewer

__all__ = ["Book", "Server", "Source", "Written", "open_book", "serve", "write_viewer"]
