"""The served viewer: the same parts, read when asked for, for this machine's own page alone."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.request import urlopen

import pytest

from reasonbench.errors import UsageError
from reasonbench.reports.viewer import Server, open_book, serve, write_viewer
from tests.reports.browser import Browser
from tests.reports.test_viewer_data import records
from tests.reports.viewer_runs import write_run


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = serve(open_book([write_run(tmp_path / "run")]), title="Samples", port=0)
    thread = Thread(target=made.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


def ask(
    server: Server, path: str, *, method: str = "GET", **headers: str
) -> tuple[HTTPResponse, str]:
    connection = HTTPConnection("127.0.0.1", server.server_port)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, headers=given)
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response, text


def called(text: str) -> list[Any]:
    found = re.fullmatch(r"viewer\.data\.\w+\((.*)\);\n", text, re.DOTALL)
    assert found is not None
    return list(json.loads(f"[{found[1]}]"))


def test_it_listens_on_this_machine_only(server: Server) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert server.address == f"http://127.0.0.1:{server.server_port}/"


def test_it_serves_what_is_written(server: Server, tmp_path: Path) -> None:
    rows = called(ask(server, "/data/index-0.js")[1])[2]
    found: dict[str, list[Any]] = {"problem": [], "sample": [], "nodes": []}
    for row in rows:
        for shard in (row[6], *(tally[1] for tally in row[7])):
            for record in called(ask(server, f"/data/shard-{shard}.js")[1])[1]:
                if record[2] in found:
                    found[record[2]].append(record[3])
    write_viewer(server.book, tmp_path / "out", title="Samples")
    for kind, some in found.items():
        assert some == records(tmp_path / "out", kind)


@pytest.mark.parametrize(
    "path",
    [
        "/data/../../../../etc/passwd", "/../run.db", "/run.db", "/data/", "/data/shard-0.js/..",
        "/data/shard-%2e%2e.js", "/data/shard-99999999.js", "/data/shard-4095.js",
        "/data/index-1.js", "/data/index--1.js", "/data/shard-1e3.js",
        "//etc/passwd", "/index.html", "/data/shard-999999999999999.js",
    ],
)  # fmt: skip
def test_no_request_names_a_file(server: Server, path: str) -> None:
    response, text = ask(server, path)
    assert response.status == 404
    assert "root" not in text


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1.evil.example", ""])
def test_another_name_is_refused(server: Server, host: str) -> None:
    for path in ("/", "/data/shard-0.js"):
        response, text = ask(server, path, Host=host)
        assert response.status == 421
        assert "viewer" not in text
    assert ask(server, "/", Host=f"localhost:{server.server_port}")[0].status == 200


def test_another_site_cannot_load_a_part(server: Server) -> None:
    for site in ("cross-site", "same-site"):
        assert ask(server, "/data/shard-0.js", Sec_Fetch_Site=site)[0].status == 403
    response, _ = ask(server, "/data/shard-0.js", Sec_Fetch_Site="same-origin")
    assert response.status == 200
    assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]


def test_nothing_can_be_changed(server: Server) -> None:
    for method in ("POST", "PUT", "DELETE"):
        assert ask(server, "/", method=method)[0].status == 501


def test_a_taken_port_is_told(server: Server) -> None:
    with pytest.raises(UsageError, match="choose another --port"):
        serve(server.book, title="Samples", port=server.server_port)


def test_the_served_page_works(server: Server, browser: Browser) -> None:
    at = server.address + "#/problem/sums/two%2Btwo/run/drawn/0/sample/0"
    opened = browser.open(Path(), at=at, reach=server.address)
    opened.do(lambda page: page.wait_for_selector("#sample-0[open] .step"))
    first, *_ = opened.texts("#sample-0 .step pre")
    assert first.strip() == "Two and two."
    assert opened.errors == []
    assert opened.requests == []


def test_ctrl_c_ends_it(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    # what starts the tests may have told its children to ignore the signal
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{heard}; from reasonbench.cli import main; main(['view', {str(run)!r}, '--port', '0'])"
    command = [sys.executable, "-c", code]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    address = process.stdout.readline()
    assert address.startswith("http://127.0.0.1:")
    with urlopen(address.split()[0], timeout=60) as answer:
        assert b"viewer-header" in answer.read()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out.strip(), err) == (0, "ended", "")
