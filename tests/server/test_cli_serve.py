"""`reasonbench serve`: the whole command over the built-in model, and what it refuses."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import httpx
import openai
import pytest

from tests.test_cli import refused

QUESTION = "Tom has 3 apples and buys 4 more. How many apples does Tom have?"


@contextmanager
def started(*args: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command's process and the address that it says."""
    process = subprocess.Popen(
        [sys.executable, "-m", "reasonbench", "serve", "--port", "0", *args],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"SECRET": "s3cret"},
    )
    try:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if found := re.search(r"at (http://\S+)/v1", line):
                yield process, found.group(1)
                break
        else:
            raise AssertionError("".join(said))
    finally:
        process.kill()
        process.communicate()


MANY = "maj@128:temperature=2"
"""A call of some seconds."""

LONG: dict[str, Any] = {
    "model": MANY,
    "messages": [{"role": "user", "content": QUESTION}],
    "max_tokens": 1000,
}


def metrics(http: httpx.Client) -> dict[str, float]:
    """By name, summed over the labels."""
    found: dict[str, float] = {}
    for line in http.get("/metrics").text.splitlines():
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            name = name.partition("{")[0]
            found[name] = found.get(name, 0.0) + float(value)
    return found


def hang_up(url: str) -> tuple[dict[str, float], dict[str, float]]:
    """Hang up in the middle of a long call: the metrics before it, and when nothing runs any more.

    Raises:
        AssertionError: the call was answered before anybody could hang up.
    """
    body = json.dumps(LONG).encode()
    host, port = url.removeprefix("http://").split(":")
    answered = "reasonbench_call_seconds_count"
    key = {"Authorization": "Bearer s3cret"}
    with httpx.Client(base_url=url, headers=key, timeout=60) as http:
        before = metrics(http)
        hanging = socket.create_connection((host, int(port)))
        hanging.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer s3cret\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        )
        while not (now := metrics(http))["reasonbench_engine_requests_in_flight"]:
            assert now.get(answered) == before.get(answered)
        hanging.close()
        running = ("reasonbench_calls_in_flight", "vllm:num_requests_running",
                   "vllm:num_requests_waiting")  # fmt: skip
        while any((now := metrics(http)).get(name) for name in running):
            pass
        assert now["reasonbench_engine_requests_in_flight"] == 0
        assert now.get(answered) == before.get(answered)
        assert 'status="gone",strategy="maj"} 1.0' in http.get("/metrics").text
        return before, now


@pytest.mark.parametrize("engine", ["transformers", "vllm"])
def test_the_built_in_model_is_served(engine: str) -> None:
    if find_spec(engine) is None:
        pytest.skip(f"{engine} is not installed")
    args = ["--engine", engine, "--api-key-env", "SECRET", "-s", "maj@4", "-s", "wbon@4",
            "-s", "beam@4", "-s", MANY, "--reward", "builtin-prm",
            "--reward-engine", "transformers"]  # fmt: skip
    if engine == "vllm":
        args += ["--engine-arg", "disable_log_stats=false"]
    with started(*args) as (process, url):
        client = openai.OpenAI(base_url=f"{url}/v1", api_key="s3cret", max_retries=0)
        names = [model.id for model in client.models.list()]
        assert names == ["maj@4", "wbon@4", "beam@4", MANY]
        for name in names[:3]:
            asked: Any = [{"role": "user", "content": QUESTION}]
            first = client.chat.completions.create(
                model=name, messages=asked, extra_body={"candidates": True}
            )
            assert first.choices[0].message.content
            assert first.usage is not None
            assert first.usage.model_extra is not None
            assert (first.usage.model_extra["reward_tokens"] > 0) == (name != "maj@4")
            again = client.chat.completions.create(model=name, messages=asked, stream=True)
            parts = [c.choices[0].delta.content or "" for c in again]
            assert "".join(parts) == first.choices[0].message.content
        before, after = hang_up(url)
        if engine == "vllm":
            # by its own count the engine wrote a part of what the same call takes to its end
            name = "vllm:generation_tokens_total"
            whole = client.chat.completions.create(**LONG).usage
            assert whole is not None
            assert after[name] - before[name] < whole.completion_tokens / 2 < 128 * 1000 / 2
            assert after["vllm:num_requests_running"] == 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--host", "0.0.0.0"), "give --api-key-env NAME, or --without-key"),
        (("--api-key-env", "NOT_SET_ANYWHERE"), "the variable is not set"),
        (("-s", "oracle@4"), "needs the reference answer"),
        (("-s", "beam@4"), "--reward MODEL"),
        (("-s", "majj@4"), "majj"),
        (("--model", "no/such/folder"), "no/such/folder"),
        (("--base-url", "http://127.0.0.1:1/v1"), "--base-url has no meaning"),
        (("--ray", "auto"), "--ray has no meaning without --replicas"),
        (("--replicas", "2", "--engine", "transformers"), "replicas run vLLM"),
    ],
)
def test_what_cannot_be_served_is_told_in_one_sentence(args: tuple[str, ...], said: str) -> None:
    assert said in refused("serve", "--quiet", "--port", "0", *args)
