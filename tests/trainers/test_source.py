"""Which folder the name of a model stands for."""

from __future__ import annotations

from reasonbench.builtin import model_path
from reasonbench.trainers.source import source_of


def test_built_in_models_are_known_by_name() -> None:
    assert source_of("builtin") == str(model_path())
    assert source_of("builtin-prm") == str(model_path("prm"))


def test_other_names_stand_for_themselves() -> None:
    assert source_of("Qwen/Qwen2.5-0.5B") == "Qwen/Qwen2.5-0.5B"
