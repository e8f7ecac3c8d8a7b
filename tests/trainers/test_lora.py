"""Adapters: they alone learn, their folder is what the evaluator reads, merging adds them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from reasonbench.engines.adapter import adapter_folder, kernel_rank
from reasonbench.errors import UsageError
from reasonbench.trainers import lora
from reasonbench.trainers.completion_loss import completion_loss, pad
from reasonbench.trainers.data import Encoder
from reasonbench.trainers.sft import train
from reasonbench.trainers.sft_log import read_log
from reasonbench.trainers.start import load_model, load_tokenizer
from tests.trainers.tiny import config, records

LORA = {"rank": 4, "alpha": 8}
OPTIMIZER = {"name": "adamw", "lr": 1e-2, "adamw_lr": 1e-2}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model to stand beside."""
    out = tmp_path_factory.mktemp("lora") / "base"
    return train(config(examples=288, batch_tokens=512), out, records)


def adapted(base: Path, out: Path, **changes: object) -> None:
    pytest.importorskip("peft")
    start = {"init": None, "tokenizer": None, "model": str(base), "optimizer": OPTIMIZER}
    settings = {**start, "examples": 192, "log_every": 4, "lora": LORA, **changes}
    train(config(**settings), out, records)


def loss_of(folder: Path, adapter: Path | None = None) -> float:
    """Of the data, by a model that is loaded as the transformers engine loads it."""
    settings = config(init=None, tokenizer=None, model=str(folder))
    tokenizer = load_tokenizer(settings)
    model = load_model(settings, tokenizer)
    if adapter is not None:
        model.load_adapter(str(adapter))
    with torch.no_grad():
        batch = [Encoder(tokenizer)(record) for record in records()]
        return completion_loss(model.eval(), pad(batch, 0, "cpu")).item()


def test_an_adapter_learns_and_is_a_folder_that_the_evaluator_reads(
    base: Path, tmp_path: Path
) -> None:
    before = load_file(base / "model.safetensors")
    adapted(base, tmp_path)
    assert adapter_folder(str(tmp_path)) == tmp_path.resolve()
    assert kernel_rank(str(tmp_path)) == 8
    settings = json.loads((tmp_path / "adapter_config.json").read_text())
    assert settings["base_model_name_or_path"] == str(base)
    assert (settings["r"], settings["lora_alpha"]) == (4, 8)
    weights = load_file(tmp_path / lora.ADAPTER)
    assert all("lora_" in name for name in weights)
    assert not any("lm_head" in name or "embed" in name for name in weights)
    assert not (tmp_path / "model.safetensors").exists()
    assert (tmp_path / "tokenizer.json").is_file()
    after = load_file(base / "model.safetensors")
    assert all(torch.equal(before[name], after[name]) for name in before)
    # logits can move by little: they are products with the frozen embeddings, which are small
    learned = loss_of(base, tmp_path)
    assert learned < 0.995 * loss_of(base)
    tokens = 2 * len(records())
    assert read_log(tmp_path, 10**9)[-1].loss == pytest.approx(learned / tokens, abs=0.01)


def test_merging_gives_the_model_with_its_adapter(base: Path, tmp_path: Path) -> None:
    adapted(base, tmp_path / "apart", examples=64)
    adapted(base, tmp_path / "merged", examples=64, lora=LORA | {"merge": True})
    assert not (tmp_path / "merged" / lora.ADAPTER).exists()
    apart = loss_of(base, tmp_path / "apart")
    assert loss_of(tmp_path / "merged") == pytest.approx(apart, rel=1e-5)
    names = load_file(base / "model.safetensors").keys()
    assert load_file(tmp_path / "merged" / "model.safetensors").keys() == names


def test_only_the_layers_that_are_named_get_adapters(base: Path, tmp_path: Path) -> None:
    adapted(base, tmp_path, examples=32, lora=LORA | {"targets": ["q_proj", "v_proj"]})
    names = load_file(tmp_path / lora.ADAPTER)
    assert {n.split(".")[-3] for n in names} == {"q_proj", "v_proj"}


def test_a_layer_that_is_not_there_is_told(base: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be given adapters"):
        adapted(base, tmp_path, lora=LORA | {"targets": ["nowhere"]})


def test_a_run_without_peft_is_told_what_to_install(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lora, "find_spec", lambda name: None)
    settings = config(init=None, tokenizer=None, model=str(base), lora=LORA)
    with pytest.raises(UsageError, match=r"pip install 'reasonbench\[lora\]'"):
        train(settings, tmp_path, records)


def test_adapters_stand_beside_a_model(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="adapters need a `model`"):
        train(config(lora=LORA), tmp_path, records)
