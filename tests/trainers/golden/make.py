"""Writes losses.json: `python -m tests.trainers.golden.make` where TRL 1.16 is installed."""

from __future__ import annotations

import json
from pathlib import Path

from tests.trainers.golden.trl_reference import compute

PATH = Path(__file__).with_name("losses.json")

if __name__ == "__main__":
    PATH.write_text(json.dumps(compute()) + "\n")
