"""`reasonbench eval` of a served model: tables, faults, keys, prices, refusals."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reasonbench.results import COSTS
from tests.engines.faulty_server import FaultyServer
from tests.engines.served_model import ServedModel
from tests.test_cli import refused, run

SECRET = "sk-very-s3cret"
TASK = ("-b", "builtin-arithmetic", "--limit", "12")
POOLS = ("-s", "cot@4", "-s", "maj@4", "-s", "wbon@4", "-s", "conf@4:window=4", "-s", "asc@6")


@pytest.fixture
def full() -> Iterator[ServedModel]:
    server = ServedModel()
    yield server
    server.close()


@pytest.fixture
def chat() -> Iterator[ServedModel]:
    server = ServedModel("chat")
    yield server
    server.close()


def evaluate(folder: Path, url: str, *options: str) -> dict[str, Any]:
    command = ("eval", "-m", "openai:toy", "--base-url", url, *TASK, *options)
    done = run(*command, "--out", str(folder), cwd=folder.parent)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads((folder / "results.json").read_text())
    found["said"] = done.stdout + done.stderr
    return found


def quality(results: dict[str, Any]) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k not in COSTS} for row in results["rows"]]


def written(folder: Path) -> list[tuple[Any, ...]]:
    """Every completion and node of a search, without what it cost."""
    with sqlite3.connect(folder / "run.db") as database:
        key = "benchmark, problem_id, pool"
        flat = f"SELECT {key}, sample, finish, text, token_ids FROM completions"
        tree = f"SELECT {key}, path, finish, text, token_ids FROM nodes"
        return sorted(database.execute(flat)) + sorted(database.execute(tree))


def test_a_run_through_a_faulty_server_is_the_clean_one(full: ServedModel, tmp_path: Path) -> None:
    searches = ("-s", "revise@2:revisions=1,select=maj")
    clean = evaluate(tmp_path / "clean", full.url, *POOLS, *searches)
    assert full.served
    assert max(full.served.values()) <= 6  # of the probe's; every seed of the run comes once
    proxy = FaultyServer(full.url)
    try:
        faulty = evaluate(tmp_path / "faulty", proxy.url, *POOLS, *searches)
    finally:
        proxy.close()
    assert proxy.spoiled.total() > 20
    assert faulty["run"]["complete"]
    assert quality(faulty) == quality(clean)
    assert written(tmp_path / "faulty") == written(tmp_path / "clean")
    assert clean["stack"]["server"]["server"] == "vLLM"


def test_a_key_is_written_nowhere(
    full: ServedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full.key = SECRET
    monkeypatch.setenv("MY_KEY", SECRET)
    found = evaluate(tmp_path / "r", full.url, "-s", "cot@1", "--api-key-env", "MY_KEY")
    assert all(row["ungraded"] == 0 for row in found["rows"])
    assert SECRET not in found["said"]
    for path in (tmp_path / "r").rglob("*"):
        assert SECRET.encode() not in path.read_bytes()
    monkeypatch.setenv("MY_KEY", "wrong-key")
    said = refused("eval", "-m", "openai:toy", "--base-url", full.url, *TASK, "-s", "cot@1",
                   "--api-key-env", "MY_KEY", "--out", "w", cwd=tmp_path)  # fmt: skip
    assert "does not accept the key in MY_KEY" in said
    assert "wrong-key" not in said
    assert not (tmp_path / "w").exists()


def test_tokens_have_prices(full: ServedModel, tmp_path: Path) -> None:
    priced = evaluate(
        tmp_path / "r",
        full.url,
        "-s",
        "cot@2",
        "-s",
        "maj@2",
        "--price-in",
        "3",
        "--price-out",
        "9",
    )
    rows = [row for row in priced["rows"] if row["level"] is None and row["subject"] is None]
    assert rows
    for row in rows:
        k = row["k"]
        spent = 3 * k * row["prompt_tokens"] + 9 * row["decode_tokens"]
        assert row["dollars"] == pytest.approx(spent / 1e6)
    assert "USD" in priced["said"]


def test_a_table_of_prices_goes_by_the_model(full: ServedModel, tmp_path: Path) -> None:
    recipe = tmp_path / "r.toml"
    recipe.write_text(
        f'model = "openai:toy"\nbase_url = "{full.url}"\nbenchmark = "builtin-arithmetic"\n'
        'limit = 3\nstrategy = "cot@1"\n[prices.toy]\ninput = 1\noutput = 0\n'
        "[prices.other]\ninput = 99\noutput = 99\n"
    )
    done = run("eval", f"@{recipe}", "--out", "r", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    row = json.loads((tmp_path / "r/results.json").read_text())["rows"][0]
    assert row["dollars"] == pytest.approx(row["prompt_tokens"] / 1e6)


def test_tokens_that_nobody_counted_are_unknown(chat: ServedModel, tmp_path: Path) -> None:
    def uncounted(answer: dict[str, Any]) -> dict[str, Any]:
        odd = len(answer["choices"][0]["message"]["content"]) % 2
        details = {"reasoning_tokens": None if odd else 3}
        return answer | {"usage": answer["usage"] | {"completion_tokens_details": details}}

    chat.answer = uncounted
    found = evaluate(tmp_path / "r", chat.url, "-s", "maj@4", "--price-in", "1", "--price-out", "1")
    count = found["run"]["usage"]["uncounted"]
    assert 0 < count < 48
    whole = [row for row in found["rows"] if row["level"] is None and row["subject"] is None]
    assert all(row["decode_tokens"] is None and row["dollars"] is None for row in whole)
    assert all(row["accuracy"] is not None for row in whole)
    assert f"did not count the tokens of {count} completions" in " ".join(found["said"].split())


@pytest.mark.parametrize(
    ("strategy", "why"),
    [
        ("beam@4:select=maj", "has a chat route only"),
        ("revise@2:select=maj", "has a chat route only"),
        ("wbon@4", "needs log-probabilities"),
        ("conf@4", "needs the log-probabilities of the 20 likeliest tokens"),
        ("bon@4:scorer=selfcert", "needs self-certainty"),
        ("cot@4:top_k=5", "samples with top_k"),
        ("cot@4:thinking=true", "switches thinking on or off"),
    ],
)
def test_what_a_server_lacks_is_refused_before_anything_is_sampled(
    chat: ServedModel, tmp_path: Path, strategy: str, why: str
) -> None:
    own = ("--reward", "builtin-orm") if strategy.startswith("beam") else ()
    said = refused("eval", "-m", "openai:toy", "--base-url", chat.url, *TASK, "-s", "maj@4",
                   "-s", strategy, *own, "--out", "r", cwd=tmp_path)  # fmt: skip
    assert strategy.partition("@")[0] in said
    assert why in said
    assert not (tmp_path / "r").exists()


def test_settings_of_servers_need_a_served_model(tmp_path: Path) -> None:
    said = refused("eval", "--base-url", "http://127.0.0.1:1/v1", *TASK, cwd=tmp_path)
    assert "--base-url has no meaning without --model openai:NAME" in said
    said = refused("eval", "-m", "openai:toy", "--price-in", "1", *TASK, cwd=tmp_path)
    assert "belong together" in said
    said = refused("eval", "-m", "openai:toy", *TASK, "--out", "r", cwd=tmp_path)
    assert "needs --base-url" in said
