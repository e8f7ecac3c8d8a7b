"""What the workers of vLLM hold, read back through their kernels in bfloat16."""

from __future__ import annotations

import torch

from reasonbench.builtin import model_path
from reasonbench.engines import Engine
from reasonbench.engines.fingerprint import fingerprint
from reasonbench.trainers.push import live
from tests.engines.loop import BackgroundLoop


def test_what_is_read_back_is_what_the_checkpoint_stores(
    vllm_engine: Engine, loop: BackgroundLoop
) -> None:
    from safetensors.torch import load_file

    stored = load_file(f"{model_path()}/model.safetensors")
    assert {weight.dtype for weight in stored.values()} == {torch.bfloat16}
    expected = {name: fingerprint(weight) for name, weight in stored.items()}
    expected["lm_head.weight"] = expected["model.embed_tokens.weight"]  # tied
    held = loop.run(live(vllm_engine).held())
    assert held.fingerprints == expected
    assert held.version == (live(vllm_engine).weight_version,)
