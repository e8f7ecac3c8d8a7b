"""What every test shares."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# the default deadline of 200 ms fails on a machine that is busy
settings.register_profile("reasonbench", deadline=None)
settings.load_profile("reasonbench")

ROOT = Path(__file__).resolve().parent.parent


def shared_folder(name: str) -> Path:
    """The folder of shared material that holds `name`, or skip the test where it is absent."""
    roots = [ROOT.parent / "shared"]
    if data := os.environ.get("REASONBENCH_DATA"):
        roots.insert(0, Path(data).parent)
    for root in roots:
        if (root / name).is_dir():
            return root / name
    pytest.skip(f"../shared/{name} is not beside this checkout")


@pytest.fixture
def shared_data() -> Path:
    """The real benchmark files (`../shared/data`)."""
    return shared_folder("data")


@pytest.fixture
def shared_grading() -> Path:
    """The labelled answers (`../shared/grading`)."""
    return shared_folder("grading")
