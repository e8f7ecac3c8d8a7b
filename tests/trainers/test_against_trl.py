"""The committed golden numbers are what the TRL that is installed computes."""

from __future__ import annotations

import pytest

from tests.trainers.golden import trl_reference
from tests.trainers.test_golden_losses import GOLDEN, agree

trl = pytest.importorskip("trl", reason="compares with TRL where it is installed")


@pytest.mark.parametrize("name", trl_reference.POLICY)
def test_policy(name: str) -> None:
    agree(trl_reference.policy_case(trl_reference.POLICY[name]), GOLDEN["policy"][name])


@pytest.mark.parametrize("kind", trl_reference.ADVANTAGES)
def test_advantages(kind: str) -> None:
    live = trl_reference.advantages(trl_reference.ADVANTAGES[kind])
    assert live == pytest.approx(GOLDEN["advantages"][kind], abs=1e-6)


@pytest.mark.parametrize("name", trl_reference.PREFERENCES)
def test_preferences(name: str) -> None:
    run, case = trl_reference.PREFERENCES[name]
    agree(run(case), GOLDEN["preferences"][name])
