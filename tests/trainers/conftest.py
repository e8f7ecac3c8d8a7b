"""One thread: what is trained here is too small for more, and results must repeat.

And the engines that tests share: each is started once per session, and only where it is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from reasonbench.engines import EngineConfig, open_engine
from reasonbench.engines.base import LiveEngine
from reasonbench.trainers.push import live
from tests.engines.loop import BackgroundLoop

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def loop() -> Iterator[BackgroundLoop]:
    """The event loop of the engines that tests of training share."""
    background = BackgroundLoop()
    yield background
    background.close()


@pytest.fixture(scope="session")
def live_vllm(loop: BackgroundLoop) -> Iterator[LiveEngine]:
    """The built-in policy in the real vLLM, in float32. Tests push weights into it: whoever uses
    it pushes their own first, with a version above the engine's.
    """
    pytest.importorskip("vllm")
    small: dict[str, Any] = {"kv_cache_memory_bytes": 256 << 20}
    config = EngineConfig(engine="vllm", dtype="float32", engine_args=small)
    engine = live(loop.run(open_engine(config)))
    yield engine
    loop.run(engine.aclose())


@pytest.fixture(scope="session")
def live_transformers(loop: BackgroundLoop) -> Iterator[LiveEngine]:
    """The same in the transformers engine."""
    engine = live(loop.run(open_engine(EngineConfig(engine="transformers"))))
    yield engine
    loop.run(engine.aclose())


@pytest.fixture(params=["vllm", "transformers"])
def live_engine(request: pytest.FixtureRequest) -> LiveEngine:
    """Each engine whose weights can be replaced."""
    engine: LiveEngine = request.getfixturevalue(f"live_{request.param}")
    return engine
