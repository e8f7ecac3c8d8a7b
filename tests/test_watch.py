"""`eval --watch`: checkpoints are found, evaluated when whole, each once, by step."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from reasonbench.builtin import model_path
from reasonbench.checkpoints import SETTLED_SECONDS, Checkpoint, Ready, find, is_whole
from reasonbench.cli import main
from reasonbench.cli.progress import EvalProgress
from reasonbench.cli.terminal import terminal
from reasonbench.cli.watch import _Watching
from reasonbench.config import as_toml, make
from reasonbench.errors import UsageError
from reasonbench.evaluations import Evaluations
from reasonbench.grading.graders import Graders
from reasonbench.open_run import open_run
from reasonbench.runs import Run
from reasonbench.serving import Serving
from reasonbench.types import Message, RequestKey, SamplingParams
from tests.recorded_files import write_problems
from tests.test_in_loop import Live

WEIGHTS = "model.safetensors"


def checkpoint(folder: Path, scale: float = 1.0) -> Path:
    """The built-in policy with its weights scaled."""
    shutil.copytree(model_path(), folder)
    stored = load_file(folder / WEIGHTS)
    save_file({name: scale * value for name, value in stored.items()}, folder / WEIGHTS)
    return settled(folder)


def settled(folder: Path) -> Path:
    """As if it had been written long ago."""
    for file in folder.iterdir():
        os.utime(file, (1e9, 1e9))
    return folder


def small(folder: Path, name: str = WEIGHTS) -> Path:
    """A folder that looks like a checkpoint."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    save_file({"a": torch.ones(3, 4), "b": torch.ones(2)}, folder / name)
    return folder


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("checkpoint-100", 100),
        ("Qwen3-0.6B-step200", 200),
        ("iter_0000300", 300),
        ("epoch_1/step_7", 7),
        ("global_step_40/actor/huggingface", 40),
    ],
)
def test_the_step_is_the_last_number_of_the_name(tmp_path: Path, name: str, step: int) -> None:
    small(tmp_path / name)
    assert find(tmp_path) == [Checkpoint(step, tmp_path / name)]


def test_checkpoints_come_by_step_and_others_are_left_out(tmp_path: Path) -> None:
    for name in ("checkpoint-20", "checkpoint-3", "best", "a/b/c/d/checkpoint-9"):
        small(tmp_path / name)
    small(tmp_path / "checkpoint-20" / "checkpoint-1")
    (tmp_path / "checkpoint-7").mkdir()
    assert [c.step for c in find(tmp_path)] == [3, 20]


def test_two_checkpoints_of_one_step_are_refused(tmp_path: Path) -> None:
    for name in ("global_step_5/actor", "global_step_5/critic"):
        small(tmp_path / name)
    with pytest.raises(UsageError, match="both of step 5"):
        find(tmp_path)


def test_weights_are_whole_with_their_last_byte(tmp_path: Path) -> None:
    folder = small(tmp_path / "checkpoint-1")
    whole = (folder / WEIGHTS).read_bytes()
    assert is_whole(folder)
    for size in (0, 5, 8, 20, len(whole) - 1):
        (folder / WEIGHTS).write_bytes(whole[:size])
        assert not is_whole(folder), size


def test_shards_are_whole_with_the_last_of_them(tmp_path: Path) -> None:
    folder = small(tmp_path / "checkpoint-1", "model-00001-of-00002.safetensors")
    assert not is_whole(folder)
    names = [f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    index = {"weight_map": {"a": names[0], "c": names[1]}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert not is_whole(folder)
    shutil.copy(folder / names[0], folder / names[1])
    assert is_whole(folder)


def test_a_folder_is_ready_when_it_no_longer_changes(tmp_path: Path) -> None:
    folder = small(tmp_path / "checkpoint-1")
    now = (folder / WEIGHTS).stat().st_mtime
    ready = Ready()
    assert not ready.look(folder, now)
    (folder / "tokenizer.json").write_text("{}")
    assert not ready.look(folder, now)
    (folder / "optimizer.pt").write_text("it goes on")
    assert ready.look(folder, now)
    assert Ready().look(folder, now + SETTLED_SECONDS + 1)
    shutil.rmtree(folder)
    assert not ready.look(folder, now)


def arguments(root: Path, out: Path, *more: str) -> list[str]:
    return [
        "eval", "--watch", str(root), "--out", str(out), "--engine", "transformers",
        "-b", "builtin-arithmetic", "--limit", "4", "-s", "cot@2:max_tokens=96", "-s",
        "maj@4:max_tokens=96", *more,
    ]  # fmt: skip


def run(words: list[str]) -> int:
    with pytest.raises(SystemExit) as ended:
        main(words)
    code = ended.value.code
    return code if isinstance(code, int) else 0


def test_each_checkpoint_is_evaluated_once_in_the_order_of_steps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.set_num_threads(1)
    root, out = tmp_path / "trained", tmp_path / "run"
    checkpoint(root / "checkpoint-20")
    checkpoint(root / "checkpoint-3", scale=0.5)
    cut = checkpoint(root / "checkpoint-10")
    whole = (cut / WEIGHTS).read_bytes()
    (cut / WEIGHTS).write_bytes(whole[:-1])
    assert run(arguments(root, out, "--watch-until", "20")) == 0
    printed = capsys.readouterr().out
    assert printed.index("step 3") < printed.index("step 20")
    run_ = Run.open(out)
    assert [(r["step"], r["strategy"]) for r in run_.headline] == [
        (3, "cot"),
        (3, "maj"),
        (20, "cot"),
        (20, "maj"),
    ]
    accuracy = {(r["step"], r["strategy"]): r["accuracy"] for r in run_.headline}
    assert accuracy[3, "cot"] < accuracy[20, "cot"]
    assert any(r["level"] is not None for r in run_.rows)
    (cut / WEIGHTS).write_bytes(whole)
    settled(cut)
    shutil.copytree(root / "checkpoint-20", root / "checkpoint-30")
    made = {r["step"]: r for r in run_.headline}
    assert run(arguments(root, out, "--watch-until", "10")) == 0, "20 is evaluated already"
    assert run(["eval", f"@{out / 'config.toml'}", "--out", str(out), "--watch-until", "30",
                "--quiet"]) == 0  # fmt: skip
    rows = {r["step"]: r for r in Run.open(out).headline}
    assert sorted(rows) == [3, 10, 20, 30]
    assert rows[10]["accuracy"] == rows[20]["accuracy"], "equal weights, equal seeds"
    assert {step: rows[step]["accuracy"] for step in made} == {
        step: row["accuracy"] for step, row in made.items()
    }
    with Run.open(out).store() as store:
        assert [(e.step, e.decode_tokens > 0) for e in store.evaluations()] == [
            (3, True),
            (10, True),
            (20, True),
            (30, True),
        ]
        assert {s.weight_version: store.count(*s).completions for s in store.series()} == {
            3: 16,
            10: 16,
            20: 16,
            30: 16,
        }


def test_a_running_engine_takes_the_next_checkpoint(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    first = Checkpoint(1, checkpoint(tmp_path / "w" / "checkpoint-1"))
    second = Checkpoint(2, checkpoint(tmp_path / "w" / "checkpoint-2", scale=0.9))
    config = make({"watch": str(tmp_path / "w"), "engine": "transformers"})

    async def written(serving: Serving, at: Checkpoint) -> tuple[Any, tuple[int, ...], int]:
        engine, _ = await serving.serve(at)
        prompt = engine.render([Message("user", "What is 12 + 35?")])
        params = SamplingParams(max_tokens=24, seed=5)
        made = await engine.sample(prompt, params, RequestKey("b", "p", (0,)))
        return serving._engine, made.token_ids, made.weight_version

    async def go() -> None:
        one, other = Serving(config), Serving(config)
        engine, before, version = await written(one, first)
        assert version == 1
        reloaded, after, version = await written(one, second)
        assert reloaded is engine
        assert version == 2
        assert one.notice is None
        _, fresh, _ = await written(other, second)
        assert after == fresh != before
        (second.folder / "tokenizer_config.json").write_text("{}")
        again, _, _ = await written(one, Checkpoint(3, second.folder))
        assert again is not engine
        await one.aclose()
        await other.aclose()

    asyncio.run(go())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--watch-until", "3"], "no meaning without --watch"),
        (["--watch", "WHERE", "--model", "m"], "leave --model out"),
        (["--watch", "WHERE/nowhere"], "there is no folder"),
    ],
)
def test_wrong_settings_are_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    words = [word.replace("WHERE", str(tmp_path)) for word in words]
    assert run(["eval", *words, "--out", str(tmp_path / "run")]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_first_checkpoint_that_cannot_be_opened_ends_the_watch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small(tmp_path / "w" / "checkpoint-1")
    assert run(arguments(tmp_path / "w", tmp_path / "run", "--max-minutes", "1")) == 2
    assert "checkpoint-1" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_last_checkpoint_that_is_left_out_ends_the_watch(tmp_path: Path) -> None:
    settings = {
        "watch": str(tmp_path / "w"), "watch_until": 2, "engine": "transformers",
        "benchmark": [str(write_problems(tmp_path / "sums.jsonl"))], "strategy": ["cot@1"],
        "fields": {"prompt": "problem", "answer": "answer", "id": "id"},
    }  # fmt: skip
    config = make(settings)
    refused = Checkpoint(2, small(tmp_path / "w" / "checkpoint-2"))

    async def go() -> None:
        said, generating = terminal(stderr=True, quiet=True), asyncio.Event()
        graders, serving = Graders(), Serving(config)
        with open_run(tmp_path / "run", as_toml(config)) as store:
            evaluations = Evaluations(store, config, graders)
            await evaluations.evaluate(Live(version=1), step=1, version=1)
            watching = _Watching(config, evaluations, serving, said)
            assert not watching.finished
            progress = EvalProgress(said, generating, quiet=True)
            assert not await watching.evaluate(refused, progress, asyncio.Event())
            assert watching.finished
        await serving.aclose()
        await graders.aclose()

    asyncio.run(go())
