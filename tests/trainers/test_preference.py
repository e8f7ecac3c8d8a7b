"""Training on preferences: what each method learns, that runs resume exactly, what is cached."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

from reasonbench.builtin.tokenizer import build_tokenizer
from reasonbench.cli.train import train as cli
from reasonbench.errors import UsageError
from reasonbench.trainers import preference
from reasonbench.trainers.config import SftConfig
from reasonbench.trainers.group_log import GroupRow
from reasonbench.trainers.group_training import Totals, cut, in_batches, updates
from reasonbench.trainers.preference_config import PreferenceConfig, parse_preference
from reasonbench.trainers.preference_objectives import in_order, make_objective
from reasonbench.trainers.preference_rows import Group
from reasonbench.trainers.sft import TrainingDiverged
from reasonbench.trainers.start import load_model
from reasonbench.trainers.text_values import REFERENCE, logprob_forward
from tests.trainers.test_prm import policy

__all__ = ["policy"]

METHODS = ("dpo", "ipo", "kto", "orpo")


def rows(form: str = "pair", count: int = 24) -> list[dict[str, Any]]:
    """The better response repeats the question's digit."""
    made: list[dict[str, Any]] = []
    for n in range(count):
        good, bad = str(n % 10), str((n + 3) % 10)
        prompt = f"What is {good}?"
        if form == "pair":
            made.append({"prompt": prompt, "chosen": good, "rejected": f"{bad} {bad}"})
        elif form == "ranking":
            responses = [f"{bad} {bad}", good, f"{good} {bad}"]
            made.append({"prompt": prompt, "responses": responses, "ranking": [3, 1, 2]})
        else:
            for response, label in ((good, "good"), (f"{bad} {bad}", "bad")):
                made.append({"prompt": prompt, "response": response, "label": label})
    return made


def write(folder: Path, made: list[dict[str, Any]]) -> str:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in made))
    return str(path)


def settings(policy: Path, data: str, **changes: Any) -> PreferenceConfig:
    return parse_preference(
        {
            "model": str(policy),
            "data": data,
            "dtype": "float32",
            "device": "cpu",
            "threads": 1,
            "batch": 8,
            "batch_tokens": 256,
            "log_every": 1,
            "optimizer": {"name": "adamw", "lr": 3e-3, "adamw_lr": 3e-3},
            **changes,
        }
    )


def weights(folder: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = load_file(folder / "model.safetensors")
    return found


@pytest.mark.parametrize("method", METHODS)
def test_the_chosen_responses_win(policy: Path, tmp_path: Path, method: str) -> None:
    data = write(tmp_path, rows("label" if method == "kto" else "pair"))
    config = settings(policy, data, method=method, epochs=12, holdout=2)
    log: list[GroupRow] = []
    found = preference.train(config, tmp_path / "out", log.append)
    assert log[-1].loss < log[0].loss
    assert log[-1].metrics["reward_accuracy"] == 1
    assert log[-1].metrics["reward_margin"] > max(0, log[0].metrics["reward_margin"])
    written = json.loads((tmp_path / "out" / "training.json").read_text())
    assert written["log"][-1]["metrics"] == log[-1].metrics
    assert written["data"]["groups"] + written["data"]["held_out"] == len(
        rows("label" if method == "kto" else "pair")
    )
    # two prompts of ten: nothing of them was learned from
    assert set(found["held_out"]) == {"before", "after"}
    assert found["held_out"]["before"] != found["held_out"]["after"]
    if method == "dpo":
        assert found["held_out"]["before"]["loss"] == pytest.approx(math.log(2), abs=1e-6)
        assert found["data"]["left_out"] == 0
    assert not (tmp_path / "out" / REFERENCE).exists()


@pytest.mark.parametrize("rankings", ["pairs", "plackett-luce"])
def test_rankings_are_learned(policy: Path, tmp_path: Path, rankings: str) -> None:
    config = settings(policy, write(tmp_path, rows("ranking")), rankings=rankings, epochs=12)
    log: list[GroupRow] = []
    preference.train(config, tmp_path / "out", log.append)
    assert log[0].loss == pytest.approx(math.log(6 if rankings == "plackett-luce" else 2), abs=1e-5)
    assert log[-1].metrics["reward_accuracy"] > 0.9


@pytest.mark.parametrize("kill_at", [3, 6])
@pytest.mark.parametrize("method", ["dpo", "kto"])
def test_a_resumed_run_equals_an_uninterrupted_one(
    policy: Path, tmp_path: Path, method: str, kill_at: int
) -> None:
    data = write(tmp_path, rows("label" if method == "kto" else "pair"))
    config = settings(policy, data, method=method, epochs=2.5, checkpoint_every=2, log_every=3)
    whole: list[GroupRow] = []
    preference.train(config, tmp_path / "whole", whole.append)

    def stop(row: GroupRow) -> None:
        if row.step == kill_at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        preference.train(config, tmp_path / "cut", stop)
    torch.randn(5)  # the random state of the process must not matter
    found = preference.train(config, tmp_path / "cut", resume=True)
    assert [r["loss"] for r in found["log"]] == [r.loss for r in whole]
    assert [r["step"] for r in found["log"]] == [r.step for r in whole]
    one, two = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_the_reference_is_read_once(
    policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = settings(policy, write(tmp_path, rows()), checkpoint_every=1)

    def stop(row: GroupRow) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        preference.train(config, tmp_path / "out", stop)
    kept = (tmp_path / "out" / REFERENCE).read_bytes()
    with pytest.raises(KeyboardInterrupt):
        preference.train(config, tmp_path / "out", stop)
    assert (tmp_path / "out" / REFERENCE).read_bytes() == kept
    stored = torch.load(tmp_path / "out" / REFERENCE, weights_only=True)
    assert len(stored["values"]) == 2 * 24
    # other data: the file is of no use
    other = settings(policy, write(tmp_path, rows(count=12)))
    preference.train(other, tmp_path / "out")


def test_another_reference_gives_other_rewards(policy: Path, tmp_path: Path) -> None:
    data = write(tmp_path, rows())
    log: list[GroupRow] = []
    preference.train(settings(policy, data), tmp_path / "a", log.append)
    assert log[0].loss == pytest.approx(math.log(2), abs=1e-6)
    second: list[GroupRow] = []
    config = settings(policy, data, reference=str(tmp_path / "a"))
    preference.train(config, tmp_path / "b", second.append)
    assert second[0].metrics["reward_margin"] < -1e-4


def test_the_reference_is_read_anew_where_another_model_took_its_place(
    policy: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "model"
    shutil.copytree(policy, copy)
    config = settings(copy, write(tmp_path, rows(count=4)))

    def stop(row: GroupRow) -> None:
        raise KeyboardInterrupt

    kept = []
    for factor in (1.0, 1.1):
        if factor > 1:
            tensors = {name: tensor * factor for name, tensor in weights(copy).items()}
            save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(KeyboardInterrupt):
            preference.train(config, tmp_path / "out", stop)
        kept.append(torch.load(tmp_path / "out" / REFERENCE, weights_only=True)["values"])
    assert not torch.equal(*kept)


def groups_of(policy: Path, tmp_path: Path, method: str, **changes: Any) -> tuple[Any, list[Group]]:
    form = {"kto": "label", "ranking": "ranking"}.get(method, "pair")
    made = rows(form, 6)
    if form == "pair":
        made[0]["sft_target"] = "a longer text to learn"
    config = settings(policy, write(tmp_path, made), method="dpo" if form == "ranking" else method,
                      **changes)  # fmt: skip
    groups, _ = preference.load_groups(config, tmp_path, build_tokenizer())
    from dataclasses import replace

    return config, [replace(g, reference=(-20.0, -21.0, -22.0)[: len(g.texts)]) for g in groups]


@pytest.mark.parametrize("method", [*METHODS, "ranking"])
def test_the_gradient_does_not_depend_on_the_micro_batches(
    policy: Path, tmp_path: Path, method: str
) -> None:
    changes = {
        "kto": {},
        "ranking": {"rankings": "plackett-luce"},
        "orpo": {},
    }.get(method, {"sft": 0.3})
    config, groups = groups_of(policy, tmp_path, method, **changes)
    model = load_model(SftConfig(model=str(policy), dtype="float32"), build_tokenizer())
    forward = logprob_forward(model, 0, 1)
    found = []
    for budget in (10_000, 60):
        objective = make_objective(config)
        objective.prepare(groups, lambda texts, b=budget: in_batches(forward, texts, b, 1))  # type: ignore[misc]
        totals = Totals(len(groups), sum(objective.target(g).trained for g in groups))
        micro = cut(groups, budget, 1, objective.texts)
        assert (len(micro) == 1) == (budget == 10_000)
        model.zero_grad()
        total = 0.0
        for part in micro:
            values = forward([t for g in part for t in objective.texts(g)])
            loss, _ = objective.loss(part, values, totals)
            torch.autograd.backward(loss / totals.groups)
            total += loss.item() / totals.groups
        found.append((total, [p.grad.clone() for p in model.parameters() if p.grad is not None]))
    assert found[0][0] == pytest.approx(found[1][0], abs=1e-6)
    for one, two in zip(found[0][1], found[1][1], strict=True):
        torch.testing.assert_close(one, two, atol=1e-6, rtol=1e-4)


def test_the_supervised_term_is_the_mean_over_its_tokens(policy: Path, tmp_path: Path) -> None:
    config, groups = groups_of(policy, tmp_path, "dpo", sft=1.0)
    assert [len(g.texts) for g in groups] == [3, 2, 2, 2, 2, 2]
    model = load_model(SftConfig(model=str(policy), dtype="float32"), build_tokenizer())
    forward = logprob_forward(model, 0, 1)
    objective = make_objective(config)
    targets = [objective.target(g) for g in groups]
    totals = Totals(len(groups), sum(t.trained for t in targets))
    with torch.no_grad():
        values = forward([t for g in groups for t in g.texts])
        _, metrics = objective.loss(groups, values, totals)
        expected = -forward(targets).sum().item() / totals.targets
    total, count = metrics["sft_loss"]
    assert total / count == pytest.approx(expected, abs=1e-5)


def test_responses_are_scored_as_if_alone(policy: Path, tmp_path: Path) -> None:
    _, groups = groups_of(policy, tmp_path, "orpo")
    model = load_model(SftConfig(model=str(policy), dtype="float32"), build_tokenizer())
    texts = [t for g in groups for t in g.texts]
    with torch.no_grad():
        found = in_batches(logprob_forward(model, 0, 1), texts, 64, 1)
        for text, value in zip(texts, found.tolist(), strict=True):
            logs = model(torch.tensor([list(text.ids)])).logits[0].log_softmax(-1)
            places = range(text.start, len(text.ids))
            alone = sum(logs[i - 1, text.ids[i]].item() for i in places)
            assert value == pytest.approx(alone, abs=1e-4)


def test_pairs_in_order_are_counted_with_ties_half() -> None:
    scores = torch.tensor([[3.0, 1.0, 1.0, 9.0], [0.0, 2.0, 0.0, 0.0]])
    ranks = torch.tensor([[1, 2, 3, 0], [1, 1, 2, 0]])
    # 3 > 1, 3 > 1, 1 = 1; then 0 = 0, 2 > 0
    assert in_order(scores, ranks) == (2.5 + 1.5, 5.0)


def test_updates_go_on_from_any_place() -> None:
    groups: list[Any] = list(range(10))
    whole = list(updates(groups, 4, 25, 1, 0))
    assert [len(u) for u in whole] == [4] * 6 + [1]
    first_epoch = [group for update in whole for group in update][:10]
    assert set(first_epoch) == set(groups)
    assert first_epoch != groups
    assert list(updates(groups, 4, 25, 1, 12)) == whole[3:]


def test_a_loss_that_is_no_number_stops_the_run(policy: Path, tmp_path: Path) -> None:
    wild = {"name": "adamw", "lr": 1e30, "adamw_lr": 1e30}
    config = settings(policy, write(tmp_path, rows()), optimizer=wild, epochs=4)
    with pytest.raises(TrainingDiverged, match="at update"):
        preference.train(config, tmp_path / "out")


def test_data_that_does_not_fit_is_told(policy: Path, tmp_path: Path) -> None:
    data = write(tmp_path, rows())
    with pytest.raises(UsageError, match="raise max_length"):
        preference.train(settings(policy, data, max_length=4), tmp_path / "out")
    only_good = write(tmp_path, [r for r in rows("label") if r["label"] == "good"])
    with pytest.raises(UsageError, match="no prompt has both"):
        preference.train(settings(policy, only_good), tmp_path / "out")


def test_the_command_trains_from_a_file(policy: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = [
        "dpo", "--model", str(policy), "--data", write(tmp_path, rows()), "--out", str(out),
        "--set", "dtype=float32", "--set", "threads=1", "--set", "holdout=2",
    ]  # fmt: skip
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    assert "accuracy" in done.output
    assert "held out, after" in done.output
    assert (out / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("dpo",), "give --data FILE.jsonl, or --run DIR"),
        (("dpo", "--data", "x.jsonl", "--run", "y"), "give a file of preferences"),
        (("dpo", "--data", "nowhere.jsonl"), "does not exist"),
        (("dpo", "--run", "nowhere"), "nowhere"),
        (("dpo", "--data", "x.jsonl", "--set", "betta=1"), "did you mean beta"),
        (("dpo", "--data", "x.jsonl", "--set", "pairs.gapp=1"), "unknown training setting"),
        (("dpo", "--data", "x.jsonl", "--set", "beta=0"), "training setting beta"),
        (("dpo", "--data", "x.jsonl", "--save-every", "-1"), "setting checkpoint_every"),
        (("ipo", "--data", "x.jsonl", "--set", "rankings=plackett-luce"), "a loss of dpo"),
        (("kto", "--data", "x.jsonl", "--set", "sft=1"), "no chosen response"),
        (("orpo", "--data", "x.jsonl", "--set", "reference=x"), "no reference model"),
    ],
)
def test_bad_input_gets_a_sentence(
    tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        CliRunner().invoke(
            cli, [*arguments, "--out", str(tmp_path / "out")], catch_exceptions=False
        )


@pytest.mark.parametrize(
    ("table", "arguments"),
    [
        ("pairs", ("dpo", "--run", "x", "--pairs", "label")),
        ("labels", ("prm", "--policy", "x")),
        ("lora", ("sft", "--lora", "4")),
    ],
)
def test_a_recipe_whose_table_is_a_number_gets_a_sentence(
    tmp_path: Path, table: str, arguments: tuple[str, ...]
) -> None:
    path = tmp_path / "own.toml"
    path.write_text(f"{table} = 1\n")
    with pytest.raises(UsageError, match=f"{table} is 1, not a table of settings"):
        CliRunner().invoke(cli, [*arguments, "--recipe", str(path)], catch_exceptions=False)


def test_checkpoints_are_written_unless_told_otherwise() -> None:
    assert parse_preference({"data": "x.jsonl"}).checkpoint_every == 100
