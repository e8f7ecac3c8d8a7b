"""Process rewards: what is learned from step labels, how rows are read, what is written."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from reasonbench.builtin.tokenizer import build_tokenizer
from reasonbench.cli.train import train as cli
from reasonbench.errors import UsageError
from reasonbench.metrics.calibration import auc
from reasonbench.trainers import prm
from reasonbench.trainers.batching import Position
from reasonbench.trainers.labels import Solution
from reasonbench.trainers.prm import PrmConfig, step_targets
from reasonbench.trainers.reward_config import parse_reward
from reasonbench.trainers.reward_data import RowMaker, RowPlan, hold_out
from reasonbench.trainers.reward_labels import Labelled
from reasonbench.trainers.reward_model import load_backbone, row_scores, use_tree_attention
from reasonbench.trainers.reward_rows import Target, bundles, line, pad_rows, slipped, step_tree
from reasonbench.trainers.reward_training import Learner, run
from reasonbench.trainers.sft import TrainingDiverged
from tests.trainers.tiny import INIT

END = "\n\n"
SOLUTIONS = (
    Solution(("a" + END, "b" + END, "1"), (6, 3, 1), (9, 8, 1), True),
    Solution(("a" + END, "c" + END, "0"), (6, 0, 0), (9, 8, 1), False),
    Solution(("a" + END, "d" + END, "0"), (6, 0, 0), (9, 1, 1), False, True),
    Solution(("0",), (0,), (1,), False),
)


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language model of random weights that is small enough to train within a second."""
    from transformers import AutoConfig, AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("policy")
    tokenizer = build_tokenizer()
    torch.manual_seed(0)
    config = AutoConfig.for_model(**INIT, vocab_size=len(tokenizer), pad_token_id=0)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def settings(policy: Path, **changes: Any) -> dict[str, Any]:
    return {
        "model": str(policy),
        "dtype": "float32",
        "threads": 1,
        "holdout": 4,
        "batch_tokens": 256,
        "pool": 8,
        "log_every": 1,
        "bare": 0.5,
        "optimizer": {"name": "muon", "lr": 1e-2, "adamw_lr": 1e-2},
        **changes,
    }


def labels(folder: Path) -> Path:
    """Problems whose solutions are right where they repeat the question's digit."""
    path = folder / "labels.jsonl"
    rows = []
    for n in range(36):
        good, bad = n % 10, (n + 3) % 10
        solutions = (
            Solution((f"{good}" + END, f"{good}"), (8, 1), (8, 1), True),
            Solution((f"{bad}" + END, f"{bad}"), (0, 0), (8, 1), False),
        )
        question = f"What is {good}" + "?" * (1 + n // 10)  # each is asked once
        rows.append(asdict(Labelled(f"p{n}", "toy", question, "Answer.", solutions)))
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


def test_steps_that_solutions_share_are_one_node() -> None:
    nodes = step_tree(SOLUTIONS)
    assert [(n.text.strip(), n.parent, n.correct) for n in nodes] == [
        ("a", -1, None), ("b", 0, None), ("1", 1, True), ("c", 0, None), ("0", 3, False),
        ("d", 0, None), ("0", 5, False), ("0", -1, False),
    ]  # fmt: skip
    assert line(nodes, 4) == [0, 3, 4]


def test_hard_targets() -> None:
    # a: 6 of 9 right; b: 3 of 8; c: 0 of 8, so wrong; d: one try is not enough to say
    found = step_targets(step_tree(SOLUTIONS), PrmConfig(last=2.0))
    assert found == [
        Target(1, 1), Target(1, 1), Target(1, 2), Target(0, 1), Target(0, 2), Target(0, 0),
        Target(0, 2), Target(0, 2),
    ]  # fmt: skip


def test_soft_targets_count_as_much_as_they_were_tried() -> None:
    found = step_targets(step_tree(SOLUTIONS), PrmConfig(target="soft"))
    assert found[:2] == [Target(6 / 9, 1), Target(3 / 8, 1)]
    assert found[3] == Target(0, 1)
    assert found[5] == Target(0, 1 / 8)
    assert found[7] == Target(0, 1)


def test_inner_steps_of_unsolved_problems_do_not_count() -> None:
    nodes = step_tree([Solution(("a", "0"), (0, 0), (8, 1), False)])
    assert step_targets(nodes, PrmConfig()) == [Target(0, 0), Target(0, 1)]
    assert step_targets(nodes, PrmConfig(unsolved=True)) == [Target(0, 1), Target(0, 1)]


def test_rows_hold_what_fits_and_every_parent() -> None:
    nodes = step_tree(SOLUTIONS)
    lengths = [2, 2, 1, 2, 1, 2, 1, 1]
    assert bundles(nodes, lengths, 8) == [[0, 1, 2, 3, 4], [0, 5, 6, 7]]
    assert bundles(nodes, lengths, 4) == [[7]]


def test_a_row_scores_each_solution_as_if_it_were_alone(policy: Path) -> None:
    config = PrmConfig(model=str(policy), max_length=400)
    model = load_backbone(policy, "process", extra_layers=1)
    torch.nn.init.normal_(model.score.weight, std=0.3)
    solutions = [s for s in SOLUTIONS if len(s.steps) > 1]
    maker = RowMaker(build_tokenizer(), config, lambda n: [Target(1.0, 1.0)] * len(n))
    problem = Labelled("x", "toy", "What is 3?", "", tuple(solutions))
    (row,) = maker.rows(problem, "seed")
    alone: dict[tuple[str, ...], float] = {}
    with torch.no_grad():
        for solution in solutions:
            ids = maker.prompt("What is 3?", "")
            for i, step in enumerate(solution.steps, 1):
                ids += maker.encode(step)
                logits = model(input_ids=torch.tensor([ids])).logits
                alone[solution.steps[:i]] = logits[0, -1, 0].item()
        use_tree_attention(model)
        scores = row_scores(model, pad_rows([row, row], 0, 32, torch.float32)).tolist()
    nodes = step_tree(solutions)
    paths = [tuple(nodes[j].text for j in line(nodes, i)) for i in range(len(nodes))]
    expected = [alone[path] for path in paths]
    assert len(set(expected)) == len(expected)
    assert scores == pytest.approx(expected * 2, abs=1e-5)


def test_added_layers_change_nothing_at_first(policy: Path) -> None:
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        before = load_backbone(policy, "process").model(ids).last_hidden_state
        after = load_backbone(policy, "process", extra_layers=2).model(ids).last_hidden_state
    assert torch.equal(before, after)


def test_it_learns_and_writes_what_transformers_loads(policy: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForTokenClassification

    config = parse_reward(
        PrmConfig,
        settings(policy, data=str(labels(tmp_path)), epochs=20, extra_layers=1),
    )
    out = tmp_path / "out"
    rows: list[Any] = []
    found = prm.train(config, out, rows.append)
    assert found["auc"] > 0.9
    assert rows[-1].loss < 0.5 < rows[0].loss
    assert rows[-1].progress == 1
    written = json.loads((out / "config.json").read_text())
    assert written["reasonbench_reward"] == {"kind": "process", "adapter": "token-classification"}
    loaded = AutoModelForTokenClassification.from_pretrained(out)
    assert loaded.score.weight.shape == (1, INIT["hidden_size"])


@pytest.mark.parametrize("more", [{}, {"grow": 8, "frozen": 3}])
def test_a_resumed_run_equals_an_uninterrupted_one(
    policy: Path, tmp_path: Path, more: dict[str, int]
) -> None:
    from safetensors.torch import load_file

    data = str(labels(tmp_path))
    base = settings(policy, data=data, epochs=3, checkpoint_every=3, log_every=2, **more)
    prm.train(parse_reward(PrmConfig, base), tmp_path / "whole")

    def stop(row: Any) -> None:
        if row.step == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prm.train(parse_reward(PrmConfig, base), tmp_path / "cut", stop)
    prm.train(parse_reward(PrmConfig, base), tmp_path / "cut", resume=True)
    whole, cut = (load_file(tmp_path / n / "model.safetensors") for n in ("whole", "cut"))
    assert all(torch.equal(whole[name], cut[name]) for name in whole)
    written = [json.loads((tmp_path / n / "training.json").read_text()) for n in ("whole", "cut")]
    logs = [[(row["step"], row["loss"]) for row in one["log"]] for one in written]
    assert logs[0] == logs[1]
    assert written[0]["data"] == written[1]["data"]


def test_frozen_layers_keep_their_weights(policy: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    base = settings(policy, data=str(labels(tmp_path)), frozen=1)
    prm.train(parse_reward(PrmConfig, base), tmp_path / "out")
    before, after = (load_file(f / "model.safetensors") for f in (policy, tmp_path / "out"))
    changed = {n for n, w in after.items() if n in before and not torch.equal(w, before[n])}
    assert changed
    assert not any("layers.0" in n or "embed_tokens" in n for n in changed)


def test_nothing_left_to_train_on_is_told(policy: Path, tmp_path: Path) -> None:
    config = parse_reward(PrmConfig, settings(policy, data=str(labels(tmp_path)), holdout=36))
    with pytest.raises(UsageError, match="nothing is left"):
        prm.train(config, tmp_path / "out")


def plan_of(problems: list[Labelled], sums: defaultdict[str, float], **changes: Any) -> RowPlan:
    config = parse_reward(PrmConfig, {"pool": 2, "rolled_out": False, **changes})
    maker = RowMaker(build_tokenizer(), config, lambda nodes: [Target(1.0, 1.0)] * len(nodes))
    return RowPlan(problems, maker, config, sums)


def test_solutions_that_are_too_long_are_counted() -> None:
    long = Solution(("1" + END, "2 " * 300), (8, 1), (8, 1), True)
    problems = [Labelled(f"p{n}", "toy", "?", "", (SOLUTIONS[3], long)) for n in range(6)]
    sums = defaultdict[str, float](float)
    plan = plan_of(problems, sums, max_length=100)
    assert plan.weight_per_batch() > 0
    list(plan.batches(Position(0, 0)))
    assert sums == {"solutions": 12, "too_long": 6}
    # a pool that a resumed run stands in was counted when it was begun
    list(plan.batches(Position(2, 1)))
    assert sums == {"solutions": 12, "too_long": 6}


def test_a_reward_is_not_trained_on_nothing() -> None:
    problems = [Labelled("p", "toy", "?", "", SOLUTIONS)] * 4
    plan = plan_of(problems, defaultdict(float), max_length=2)
    with pytest.raises(UsageError, match=r"6 of the first 6 .* than max_length=2 tokens: raise it"):
        plan.weight_per_batch()


def test_problems_held_out_share_no_question_with_the_others() -> None:
    asked = ["a", "b", "a", "c", "b", "c", "d"]
    problems = [Labelled(str(n), "toy", text, "", SOLUTIONS) for n, text in enumerate(asked)]
    train, held = hold_out(problems, 2)
    assert [p.question for p in train] == ["a", "b", "a", "b"]
    assert [p.question for p in held] == ["c", "c", "d"]
    assert hold_out(problems, 0) == (problems, [])
    assert hold_out(problems, 9) == ([], problems)


def test_a_gradient_that_is_no_number_stops_the_run(policy: Path, tmp_path: Path) -> None:
    config = parse_reward(PrmConfig, settings(policy, data=str(labels(tmp_path))))
    learner = Learner(
        config,
        "process",
        lambda nodes: step_targets(nodes, config),
        lambda scores, batch: torch.sqrt(0 * scores.sum()),
    )
    with pytest.raises(TrainingDiverged, match="the gradient is nan at update 1"):
        run(learner, tmp_path / "out")
    assert not (tmp_path / "out" / "model.safetensors").exists()


def test_measuring_leaves_training_as_it_was(policy: Path, tmp_path: Path) -> None:
    config = parse_reward(PrmConfig, settings(policy))
    learner = Learner(config, "process", lambda n: step_targets(n, config), prm.step_loss)
    problem = Labelled("x", "toy", "?", "", SOLUTIONS)
    assert learner.measure([problem])["steps"] == 7
    assert all(p.grad is None for p in learner.model.parameters())


def test_the_command_trains_from_a_file_of_labels(policy: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    path = tmp_path / "tiny.toml"
    path.write_text('dtype = "float32"\nholdout = 4\nthreads = 1\n')
    done = CliRunner().invoke(
        cli,
        ["prm", "--recipe", str(path), "--model", str(policy), "--data", str(labels(tmp_path)),
         "--out", str(out), "--set", "epochs=2"],
        catch_exceptions=False,
    )  # fmt: skip
    assert done.exit_code == 0
    assert "held out: AUC" in done.output
    assert (out / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give --recipe"),
        (("--recipe", "builtin-prn"), "did you mean builtin-prm"),
        (("--recipe", "builtin-prm", "--set", "epoch=1"), "unknown training setting"),
        (("--recipe", "builtin-prm", "--set", "labels.n=0"), "training setting labels.n"),
        (("--recipe", "builtin-prm", "--data", "nowhere.jsonl"), "no file of labels"),
        (("--recipe", "builtin-prm", "--set", "labels.families={algebra=1}"), "no 'algebra'"),
        (("--recipe", "builtin-prm", "--benchmark", "math50"), "did you mean math500"),
        (
            ("--recipe", "builtin-prm", "--policy", "./nowhere", "--set", "labels.problems=1"),
            "nowhere",
        ),
        (("--recipe", "builtin-prm", "--set", "labels.metod=x"), "did you mean method"),
    ],
)
def test_bad_input_gets_a_sentence(
    tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        CliRunner().invoke(
            cli, ["prm", *arguments, "--out", str(tmp_path / "out")], catch_exceptions=False
        )


def test_auc_counts_ties_half() -> None:
    assert auc([1.0, 2.0, 2.0, 3.0], [False, False, True, True]) == pytest.approx(3.5 / 4)
    assert auc([1.0], [True]) != auc([1.0], [True])


def test_a_slip_changes_one_digit_of_a_right_step() -> None:
    good = ("now=12+30=42" + END, "42+1=43 no" + END, r"\boxed{42}")
    bad = ("now=12+30=41" + END, r"\boxed{41}")
    nodes = step_tree(
        [Solution(good, (8, 8, 8), (8, 8, 8), True), Solution(bad, (0, 0), (8, 8), False)]
    )
    assert slipped(nodes, 0.0, 8, "x") == []
    seen: set[str] = set()
    for seed in range(40):
        first, last = slipped(nodes, 1.0, 8, str(seed))
        assert (first.parent, first.right, first.tried, first.correct) == (-1, 0, 8, None)
        assert (last.parent, last.correct) == (1, False)
        for twin, node in ((first, nodes[0]), (last, nodes[2])):
            assert sum(a != b for a, b in zip(twin.text, node.text, strict=True)) == 1
        seen.add(first.text)
    assert {t[:6] for t in seen} > {"now=12"}  # what is calculated changes as well as its value
    assert sum(t.startswith("now=12+30=") for t in seen) > 5
