"""Where the model that a training starts from lies."""

from __future__ import annotations

from reasonbench.builtin import model_path


def source_of(name: str) -> str:
    """The folder or hub name behind the name of a model.

    `builtin` is the built-in policy, `builtin-prm` and `builtin-orm` are the reward models that
    come with it; every other name stands for itself.
    """
    if name == "builtin":
        return str(model_path())
    return str(model_path(name.removeprefix("builtin-"))) if name.startswith("builtin-") else name
