"""Opening a run to write to it, and taking it back where nothing came of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from reasonbench.errors import UsageError
from reasonbench.runs import RunStore
from reasonbench.runs.folder import CONFIG, DATABASE, LOCK, VOLATILE


@contextmanager
def open_run(
    folder: Path,
    config: Mapping[str, Any],
    volatile: Set[str] = VOLATILE,
    *,
    disposable: bool = False,
) -> Iterator[RunStore]:
    """A new run, or the one of that configuration in the folder.

    Where the block fails before anything was sampled, graded or trained (a model that is not
    there, a file with a broken line), a run that was new is removed again: the folder stays free
    for the command that mends it. What took no model to make (`disposable`) is removed after any
    failure.

    Raises:
        UsageError: see `RunStore.create_or_resume`.
    """
    made = not folder.exists()
    store = RunStore.create_or_resume(folder, config, volatile=volatile)
    try:
        with store:
            yield store
    except BaseException:
        if not store.resumed and (disposable or _is_empty(folder)):
            for name in (CONFIG, DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", LOCK):
                (folder / name).unlink(missing_ok=True)
            if made:
                with suppress(OSError):  # what others put there stays, and hides no error
                    folder.rmdir()
        raise


def _is_empty(folder: Path) -> bool:
    try:
        with RunStore.open(folder) as store:
            trained = next(iter(store.training()), None) is not None
            return not trained and store.count().verdicts == store.count().completions == 0
    except UsageError:  # a disk that cannot be read either: leave everything as it is
        return False
