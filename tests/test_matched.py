"""Strategies against the curve of another one, worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from reasonbench.errors import UsageError
from reasonbench.frontier import Board
from reasonbench.matched import against
from reasonbench.points import Point
from tests.stored_runs import Drawn, Item, write_run
from tests.test_cli import refused, run

PROBLEMS = 40


def board(**points: tuple[str, list[float], float, bool]) -> Board:
    """Points by label: strategy, score on every problem (repeated), tokens, ceiling."""
    made = [
        Point("r", series, label, 1, ceiling, None, {}, searched=True)
        for label, (series, _, _, ceiling) in points.items()
    ]
    given = list(points.values())
    return Board(
        model="m",
        benchmark="b",
        runs=("r",),
        problems=tuple(map(str, range(PROBLEMS))),
        clusters=tuple(map(str, range(PROBLEMS))),
        points=tuple(made),
        scores=np.array([np.resize(scores, PROBLEMS) for _, scores, _, _ in given]),
        tokens=np.array([np.full(PROBLEMS, tokens) for _, _, tokens, _ in given]),
        difficulties=(),
        notes=(),
    )


CURVE = {
    "wbon4": ("wbon:scorer=reward", [0.0, 1.0], 100.0, False),
    "wbon16": ("wbon:scorer=reward", [1.0, 1.0], 400.0, False),
}


def test_between_two_sizes_each_problem_lies_between_both() -> None:
    found = against(board(**CURVE, beam=("beam", [1.0, 1.0], 200.0, False)), "wbon")
    (match,) = found.matches
    # 200 is half way from 100 to 400 by the logarithm: 0.5 and 1 in turn
    assert match.reached == pytest.approx(0.75)
    assert match.paired.difference == pytest.approx(0.25)
    assert match.significant
    assert found.outside == ()


def test_at_a_size_the_curve_is_that_size_and_beyond_it_there_is_none() -> None:
    found = against(
        board(
            **CURVE,
            equal=("beam", [1.0, 1.0], 400.0, False),
            cheap=("dvts", [1.0, 1.0], 99.0, False),
            dear=("dvts", [1.0, 1.0], 401.0, False),
            gold=("oracle", [1.0, 1.0], 200.0, True),
        ),
        "wbon:scorer=reward",
    )
    (match,) = found.matches
    assert (match.point, match.reached, match.paired.difference) == (2, 1.0, 0.0)
    assert not match.significant
    assert found.outside == (3, 4)


def test_p_values_are_corrected_for_all_that_is_compared() -> None:
    one = {"beam": ("beam", [1.0, 0.9], 200.0, False)}
    many = {f"dvts{i}": ("dvts", [0.5, 1.0], 200.0, False) for i in range(9)}
    (alone,) = against(board(**CURVE, **one), "wbon").matches
    first = against(board(**CURVE, **one, **many), "wbon").matches[0]
    assert first.paired == alone.paired
    assert first.adjusted == pytest.approx(min(1.0, 10 * alone.adjusted))


@pytest.mark.parametrize(
    ("name", "said"), [("bom", "unknown"), ("beam", "one size"), ("wbon", "which one")]
)
def test_what_is_no_curve_is_refused(name: str, said: str) -> None:
    more = {"own": ("wbon:scorer=own", [1.0], 50.0, False), "beam": ("beam", [1.0], 200.0, False)}
    with pytest.raises(UsageError, match=said):
        against(board(**CURVE, **more), name)


def test_the_command_prints_it(tmp_path: Path) -> None:
    right, wrong = Drawn(0, True), Drawn(1, False)
    items = {str(i): Item([right, wrong, right, right] * 2) for i in range(4)}
    write_run(tmp_path / "r", items, ["maj@8", "bon@8"])
    found = run("frontier", str(tmp_path / "r"), "--against", "maj", "--json").stdout
    (table,) = json.loads(found)["tables"]
    assert table["against"]["strategy"] == "maj"
    assert {point["label"] for point in table["against"]["points"]} >= {"bon@2", "bon@8"}
    printed = run("frontier", str(tmp_path / "r"), "--against", "maj").stdout
    assert "maj there" in printed
    assert "unknown strategy" in refused("frontier", str(tmp_path / "r"), "--against", "majj")
