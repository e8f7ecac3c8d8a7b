"""Sharded over two processes: the loss and the weights of one, checkpoints of either for either."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from reasonbench.errors import UsageError
from reasonbench.trainers import checkpoint, parallel
from reasonbench.trainers.data import Record
from reasonbench.trainers.lora import ADAPTER
from reasonbench.trainers.sft import LogRow, train
from reasonbench.trainers.sft_log import read_log
from tests.trainers.tiny import INIT, config, records

ADAMW = {"name": "adamw", "lr": 1e-3, "adamw_lr": 1e-3}
RUNS: dict[str, dict[str, Any]] = {
    # batches that do not go into two, of unequal lengths
    "tied": {"optimizer": ADAMW, "accumulate": 3, "examples": 60},
    # a batch is one row: the second process has none
    "alone": {"optimizer": ADAMW, "batch_tokens": 2, "examples": 6, "recompute": True},
    "untied": {"optimizer": ADAMW, "init": INIT | {"tie_word_embeddings": False}, "examples": 40},
}
if find_spec("peft"):
    RUNS["adapters"] = {
        "optimizer": ADAMW,
        "init": None,
        "tokenizer": None,
        "model": "tied-1",
        "lora": {"rank": 2},
        "examples": 24,
    }
CUT: dict[str, Any] = {"optimizer": ADAMW, "checkpoint_every": 2, "shuffle": False}


class KilledError(Exception):
    """Stands for the processes going away."""


def cut_records() -> Iterator[Record]:
    """The data breaks off in its third pool."""
    yield from records()[:70]
    raise KilledError


def learn(out: Path, changes: dict[str, Any], data: Any = records, resume: bool = False) -> None:
    if "model" in changes:
        changes = {**changes, "model": str(out.parent / changes["model"])}
    train(config(log_every=1, **changes), out, data, resume=resume)


def interrupted(out: Path, data: Any = cut_records) -> None:
    with pytest.raises(KilledError):
        learn(out, CUT, data)


def work(rank: int, folder: str) -> None:
    """One process of two."""
    torch.set_num_threads(1)
    meet = f"file://{folder}/meet"
    dist.init_process_group("gloo", init_method=meet, rank=rank, world_size=2)
    root = Path(folder)
    assert parallel.everywhere({"rank": rank}) == [{"rank": 0}, {"rank": 1}]
    assert parallel.from_main(["mine", "yours"][rank]) == "mine"
    assert parallel.is_main() == (rank == 0)
    for name, changes in RUNS.items():
        learn(root / f"{name}-2", changes)
    learn(root / "from-1", CUT, resume=True)
    interrupted(root / "from-2")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of what one process and two have trained."""
    folder = tmp_path_factory.mktemp("parallel")
    prepare(folder)
    mp.spawn(work, args=(str(folder),), nprocs=2)  # type: ignore[attr-defined, no-untyped-call]
    learn(folder / "from-2", CUT, resume=True)
    return folder


def prepare(folder: Path) -> None:
    """What one process trains by itself."""
    for name, changes in RUNS.items():
        learn(folder / f"{name}-1", changes)
    learn(folder / "whole", CUT)
    interrupted(folder / "from-1")


def same(one: Path, two: Path) -> None:
    name = ADAPTER if (one / ADAPTER).exists() else "model.safetensors"
    first, second = load_file(one / name), load_file(two / name)
    assert first.keys() == second.keys()
    for name, weight in first.items():
        torch.testing.assert_close(second[name], weight, rtol=0, atol=1e-6, msg=name)
    rows = [log_of(folder) for folder in (one, two)]
    assert [r.step for r in rows[0]] == [r.step for r in rows[1]]
    assert [r.loss for r in rows[1]] == pytest.approx([r.loss for r in rows[0]], abs=1e-6)
    assert [r.grad_norm for r in rows[1]] == pytest.approx([r.grad_norm for r in rows[0]], rel=1e-4)
    assert [r.tokens for r in rows[0]] == [r.tokens for r in rows[1]]


def log_of(folder: Path) -> list[LogRow]:
    return read_log(folder, 10**9)


@pytest.mark.parametrize("name", RUNS)
def test_two_processes_train_what_one_does(trained: Path, name: str) -> None:
    same(trained / f"{name}-1", trained / f"{name}-2")


@pytest.mark.parametrize("name", ["from-1", "from-2"])
def test_a_checkpoint_is_resumed_by_another_number_of_processes(trained: Path, name: str) -> None:
    same(trained / "whole", trained / name)
    assert not (trained / name / checkpoint.FILE).exists()


def test_the_folder_that_two_write_is_an_ordinary_one(trained: Path) -> None:
    from transformers import AutoModelForCausalLM

    one, two = (json.loads((trained / f"tied-{n}" / "config.json").read_text()) for n in (1, 2))
    assert one == two
    model = AutoModelForCausalLM.from_pretrained(trained / "tied-2")
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=9),
    st.integers(1, 8),
)
def test_every_row_is_dealt_once_and_nobody_waits(sizes: list[int], world: int) -> None:
    group = [[(place, row) for row in range(size)] for place, size in enumerate(sizes)]
    dealt = [parallel.deal(group, world, rank) for rank in range(world)]
    assert len({len(mine) for mine in dealt}) == 1
    rows: Iterable[tuple[int, int]] = (r for mine in dealt for batch in mine for r in batch)
    assert sorted(rows) == sorted(r for batch in group for r in batch)
    assert all(len({place for place, _ in batch}) <= 1 for mine in dealt for batch in mine)


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    if torch.cuda.is_available():
        pytest.skip("there are GPUs")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="more processes than the 0 GPUs"), parallel.joined("cuda"):
        pass


def test_one_process_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")
    with parallel.joined("cpu") as device:
        assert device == "cpu"
    assert not dist.is_initialized()
    assert parallel.is_main()
    value = torch.ones(2)
    assert parallel.whole(value) is value
    assert parallel.everywhere("x") == ["x"]
    assert parallel.from_main("x") == "x"
