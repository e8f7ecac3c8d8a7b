"""`vllm serve` of the built-in model on loopback."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from reasonbench.builtin import model_path

STRATEGIES = ["cot@4", "maj@4", "bon@4", "wbon@4", "conf@4:window=4", "asc@6", "esc@10",
              "conf@8:mode=online,warmup=4,window=4", "beam@4", "beam@4:step_pattern=[0-9] ",
              "dvts@4", "particles@4", "rebase@4", "mcts@4", "lookahead@4", "budget@1",
              "revise@2:revisions=1"]  # fmt: skip
"""One of every kind, small."""


@contextlib.contextmanager
def vllm_server(log: Path) -> Iterator[str]:
    """Its base URL.

    Args:
        log: file of what it prints.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server",
               "--model", str(model_path()), "--served-model-name", "tiny",
               "--host", "127.0.0.1", "--port", str(port), "--enforce-eager",
               "--block-size", "32", "--max-num-batched-tokens", "32768",
               "--distributed-executor-backend", "uni", "--enable-prompt-tokens-details",
               ]  # fmt: skip
    ours = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "OMP_NUM_THREADS": "1",
            "VLLM_CPU_KVCACHE_SPACE": "1"}  # fmt: skip
    with log.open("wb") as written:
        server = subprocess.Popen(
            command, stdout=written, stderr=written, env=os.environ | ours, start_new_session=True
        )
    try:
        _wait(f"http://127.0.0.1:{port}/health", server, log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(30)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _wait(health: str, server: subprocess.Popen[bytes], log: Path) -> None:
    """Until it answers."""
    for _ in range(1200):
        if server.poll() is not None:
            raise RuntimeError(log.read_text()[-3000:])
        try:
            with urllib.request.urlopen(health, timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    raise TimeoutError(log.read_text()[-3000:])
