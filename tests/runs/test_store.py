"""What the run store keeps, and what it gives back."""

from __future__ import annotations

import asyncio
import math
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonbench.errors import UsageError
from reasonbench.runs.codec import pack_floats, pack_tokens, unpack_floats, unpack_tokens
from reasonbench.runs.store import RunStore
from reasonbench.runs.stored import Counts, SampleKey, Scores, Series
from reasonbench.types import Completion, Message, Prompt, Verdict
from tests.runs.samples import completion, key, problem

CORRECT = Verdict("correct", "4", "exact", "equal strings")


@given(st.lists(st.integers(0, (1 << 32) - 1)))
def test_token_ids_come_back(ids: list[int]) -> None:
    assert unpack_tokens(pack_tokens(ids)) == tuple(ids)


@given(st.lists(st.integers(0, 65_535), min_size=300, max_size=600))
def test_long_lists_of_token_ids_come_back(ids: list[int]) -> None:
    assert unpack_tokens(pack_tokens(ids)) == tuple(ids)


def test_token_ids_outside_four_bytes_are_refused() -> None:
    with pytest.raises(OverflowError):
        pack_tokens([1 << 32])
    with pytest.raises(OverflowError):
        pack_tokens([-1])


@given(st.lists(st.floats(width=32, allow_nan=False)))
def test_float32_values_come_back(values: list[float]) -> None:
    assert unpack_floats(pack_floats(values)) == tuple(values)


def test_none_and_no_values_differ() -> None:
    assert unpack_floats(pack_floats(None)) is None
    assert unpack_floats(pack_floats(())) == ()


def test_a_completion_comes_back_whole(tmp_path: Path) -> None:
    with RunStore.create_or_resume(tmp_path / "run", {}) as store:
        store.add_completion(key(), completion())
        assert store.completion(key()) == completion()


def test_a_completion_without_optional_parts_comes_back(tmp_path: Path) -> None:
    bare = Completion((), "", "aborted")
    with RunStore.create_or_resume(tmp_path / "run", {}) as store:
        store.add_completion(key(), bare)
        assert store.completion(key()) == bare


def test_text_that_utf8_or_c_would_break_comes_back(tmp_path: Path) -> None:
    with RunStore.create_or_resume(tmp_path / "run", {}) as store:
        store.add_completion(key(), Completion((), "a\x00b 정답 \U0001f600", "stop"))
        store.add_completion(key(sample=1), Completion((), "lone \ud800 surrogate", "stop"))
        assert store.completion(key()).text == "a\x00b 정답 \U0001f600"
        assert store.completion(key(sample=1)).text == "lone \ufffd surrogate"


def test_a_missing_completion_is_a_key_error(tmp_path: Path) -> None:
    with RunStore.create_or_resume(tmp_path / "run", {}) as store, pytest.raises(KeyError):
        store.completion(key())


def test_the_first_completion_of_a_key_stays(tmp_path: Path) -> None:
    with RunStore.create_or_resume(tmp_path / "run", {}) as store:
        store.add_completion(key(), completion(1))
        store.add_completion(key(), completion(2))
        assert store.completion(key()) == completion(1)
        assert store.count().completions == 1


def test_the_last_verdict_of_a_key_stays(tmp_path: Path) -> None:
    with RunStore.create_or_resume(tmp_path / "run", {}) as store:
        store.add_problems([problem(1)])
        store.add_verdict(key(), Verdict("ungraded", None, "crash"), answer_class=3)
        store.add_verdict(key(), CORRECT)
        [(_, [sample])] = store.samples("sums", "p")
    assert (sample.verdict, sample.answer, sample.layer, sample.reason) == CORRECT_ROW
    assert sample.answer_class is None


CORRECT_ROW = ("correct", "4", "exact", "equal strings")


def test_key_and_completion_must_name_one_weight_version(tmp_path: Path) -> None:
    with (
        RunStore.create_or_resume(tmp_path / "run", {}) as store,
        pytest.raises(ValueError, match="version"),
    ):
        store.add_completion(key(version=1), completion(version=0))


def test_samples_join_completions_verdicts_and_scores(tmp_path: Path) -> None:
    with RunStore.create_or_resume(tmp_path / "run", {}) as store:
        store.add_problems([problem(1), problem(2)])
        store.add_completion(key(sample=1), completion(1))
        store.add_completion(key(sample=0), completion(0))
        store.add_completion(key(sample=0, version=3), completion(0, version=3))
        store.add_completion(key(sample=0, pool="other"), completion(7))
        store.add_verdict(key(sample=1), CORRECT, answer_class=0)
        store.add_score(key(sample=1), "prm", [0.5, math.nan, 0.25], whole=0.75)
        store.add_score(key(sample=1), "orm", whole=-2.0)
        first, second = store.samples("sums", "p")
    assert first.problem == problem(1)
    assert [s.sample for s in first.samples] == [0, 1]
    ungraded, graded = first.samples
    assert ungraded.verdict is None
    assert ungraded.scores == {}
    assert graded.finish == "stop"
    assert graded.tokens == 3
    assert graded.usage == completion().usage
    assert graded.mean_logprob == -1.1
    assert graded.answer_class == 0
    assert graded.text is None
    assert graded.scores["orm"] == Scores((), -2.0)
    steps, whole = graded.scores["prm"]
    assert (steps[0], steps[2], whole) == (0.5, 0.25, 0.75)
    assert math.isnan(steps[1])
    assert second.samples == ()


def test_samples_load_texts_when_asked(tmp_path: Path) -> None:
    with RunStore.create_or_resume(tmp_path / "run", {}) as store:
        store.add_problems([problem(1)])
        store.add_completion(key(sample=4), completion(4))
        [(_, [sample])] = store.samples("sums", "p", text=True)
    assert sample.text == "so it is 4\n"


def test_a_failed_request_has_a_verdict_and_no_completion(tmp_path: Path) -> None:
    with RunStore.create_or_resume(tmp_path / "run", {}) as store:
        store.add_problems([problem(1)])
        store.add_verdict(key(sample=2), Verdict("ungraded", None, "request", "too long"))
        [(_, [sample])] = store.samples("sums", "p")
        assert store.finished("sums", "p") == set()
    assert (sample.sample, sample.verdict, sample.finish) == (2, "ungraded", None)


def test_scoring_again_replaces_every_step(tmp_path: Path) -> None:
    with RunStore.create_or_resume(tmp_path / "run", {}) as store:
        store.add_problems([problem(1)])
        store.add_score(key(), "prm", [0.1, 0.2, 0.3])
        store.add_score(key(), "prm", [0.9])
        [(_, [sample])] = store.samples("sums", "p")
    assert sample.scores == {"prm": Scores((0.9,), None)}


def test_classes_are_set_after_verdicts(tmp_path: Path) -> None:
    with RunStore.create_or_resume(tmp_path / "run", {}) as store:
        store.add_problems([problem(1)])
        store.add_verdict(key(sample=0), CORRECT)
        store.add_verdict(key(sample=1), Verdict("incorrect", None, "no answer"))
        store.set_classes("sums", "p1", "p", {0: 0, 1: -1})
        [(_, samples)] = store.samples("sums", "p")
    assert [sample.answer_class for sample in samples] == [0, -1]


def test_problems_keep_their_order_and_content(tmp_path: Path) -> None:
    many = [problem(number) for number in range(150, 0, -1)]
    with RunStore.create_or_resume(tmp_path / "run", {}) as store:
        store.add_problems(many)
        store.add_problems([problem(1, "other")])
        store.add_problems(many)
        assert list(store.problems("sums")) == many
        assert len(list(store.problems())) == 151


def test_a_problem_whose_content_changed_is_refused(tmp_path: Path) -> None:
    with RunStore.create_or_resume(tmp_path / "run", {}) as store:
        store.add_problems([problem(1)])
    with RunStore.create_or_resume(tmp_path / "run", {}) as store:
        changed = type(problem(1))(problem(1).question, gold="3")
        with pytest.raises(UsageError, match="p1 of sums"):
            store.add_problems([changed])


def test_a_prompt_comes_back_with_its_hash(tmp_path: Path) -> None:
    prompt = Prompt((1, 2, 3), "abc", thinking_open=True)
    messages = [Message("system", "short"), Message("user", "abc?")]
    with RunStore.create_or_resume(tmp_path / "run", {}) as store:
        store.add_prompt("sums", "p1", "p", prompt, messages)
        store.add_prompt("sums", "p1", "p", Prompt((9,), "second"), messages)
        stored = store.prompt("sums", "p1", "p")
        assert store.prompt("sums", "p2", "p") is None
    assert stored is not None
    assert stored.prompt == prompt
    assert stored.messages == tuple(messages)
    # printf abc | sha256sum
    assert stored.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_pool_keeps_its_specification(tmp_path: Path) -> None:
    with RunStore.create_or_resume(tmp_path / "run", {}) as store:
        store.add_pool("p", {"temperature": 0.7, "stop": ("a",), "top_k": None})
        store.add_pool("p", {"temperature": 0.7, "stop": ["a"], "top_k": None})
        assert store.pools() == {"p": {"temperature": 0.7, "stop": ["a"], "top_k": None}}
        with pytest.raises(UsageError, match="'p'"):
            store.add_pool("p", {"temperature": 0.8})


def test_finished_names_what_need_not_be_generated(tmp_path: Path) -> None:
    with RunStore.create_or_resume(tmp_path / "run", {}) as store:
        store.add_completion(key(1, 0), completion())
        store.add_completion(key(2, 5), completion())
        store.add_completion(key(3, 0, pool="other"), completion())
        store.add_completion(key(4, 0, version=1), completion(version=1))
        assert store.finished("sums", "p") == {("p1", 0), ("p2", 5)}
        assert store.finished("sums", "p", 1) == {("p4", 0)}
        assert store.finished("sums", "p", problems=["p2", "p3", "p4"]) == {("p2", 5)}
        assert store.finished("sums", "p", problems=[]) == set()
        assert store.series() == [
            Series("sums", "other", 0),
            Series("sums", "p", 0),
            Series("sums", "p", 1),
        ]


def test_completions_without_verdict_may_be_graded_while_listed(tmp_path: Path) -> None:
    with RunStore.create_or_resume(tmp_path / "run", {}) as store:
        for sample in range(4):
            store.add_completion(key(sample=sample), completion(sample))
        store.add_verdict(key(sample=0), CORRECT)
        store.add_verdict(key(sample=1), Verdict("ungraded", None, "crash"))
        never = list(store.completions_without_verdict("sums", "p", ungraded=False))
        assert [found.sample for found, _ in never] == [2, 3]
        graded = []
        for found, text in store.completions_without_verdict("sums", "p"):
            assert text == completion(found.sample)
            store.add_verdict(found, CORRECT)
            graded.append(found.sample)
        assert graded == [1, 2, 3]
        assert list(store.completions_without_verdict("sums", "p")) == []
        assert len(list(store.completions("sums", "p"))) == 4


def test_counts_by_what_is_named(tmp_path: Path) -> None:
    with RunStore.create_or_resume(tmp_path / "run", {}) as store:
        store.add_problems([problem(1), problem(2), problem(3, "other")])
        store.add_completion(key(1), completion())
        store.add_completion(key(2, pool="q"), completion())
        store.add_verdict(key(1), CORRECT)
        store.add_verdict(key(2, pool="q"), Verdict("incorrect", None, "no answer"))
        assert store.count() == Counts(3, 2, 1, 1, 0, 6)
        assert store.count("sums", "q") == Counts(2, 1, 0, 1, 0, 3)
        assert store.count(weight_version=1) == Counts(3, 0, 0, 0, 0, 0)


def test_traces_and_training_come_back(tmp_path: Path) -> None:
    tree = {"node": [1, {"child": "x"}], "score": 0.5}
    with RunStore.create_or_resume(tmp_path / "run", {}) as store:
        store.add_trace("sums", "p1", "beam", tree)
        assert store.trace("sums", "p1", "beam") == tree
        assert store.trace("sums", "p2", "beam") is None
        store.add_training(10, {"loss": 0.5}, weight_version=1)
        store.add_training(2, {"loss": 1.5, "lr": 0.1})
        steps = list(store.training())
    assert [(s.step, s.weight_version) for s in steps] == [(2, 0), (10, 1)]
    assert steps[0].metrics == {"loss": 1.5, "lr": 0.1}


def test_a_flushed_row_is_seen_by_another_connection(tmp_path: Path) -> None:
    with RunStore.create_or_resume(tmp_path / "run", {}) as store:
        store.add_completion(key(), completion())
        store.flush()
        with RunStore.open(tmp_path / "run") as reader:
            assert reader.completion(key()) == completion()


def test_a_closed_run_is_one_database_file(tmp_path: Path) -> None:
    with RunStore.create_or_resume(tmp_path / "run", {}) as store:
        store.add_completion(key(), completion())
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {"config.toml", "run.db", "run.lock"}
    with sqlite3.connect(tmp_path / "run" / "run.db") as plain:
        assert plain.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert plain.execute("SELECT verdict FROM verdicts").fetchall() == []


def test_reading_only_refuses_to_write(tmp_path: Path) -> None:
    RunStore.create_or_resume(tmp_path / "run", {}).close()
    with RunStore.open(tmp_path / "run") as store, pytest.raises(RuntimeError, match="reading"):
        store.add_verdict(key(), CORRECT)


def test_a_value_the_database_refuses_is_raised_and_not_swallowed(tmp_path: Path) -> None:
    store = RunStore.create_or_resume(tmp_path / "run", {})
    store.add_completion(key(), completion())
    store.flush()
    store.add_verdict(key(), Verdict("maybe", None, "exact"))  # type: ignore[arg-type]  # on purpose
    with pytest.raises(UsageError, match="CHECK constraint"):
        store.flush()
    with pytest.raises(UsageError, match="CHECK constraint"):
        store.add_verdict(key(), CORRECT)
    with pytest.raises(UsageError, match="CHECK constraint"):
        store.close()
    with RunStore.open(tmp_path / "run", writable=True) as again:
        assert again.completion(key()) == completion()


FULL_DISK = """
import resource, sys
from pathlib import Path
from reasonbench.errors import UsageError
from reasonbench.runs.store import RunStore
from tests.runs.samples import completion, key
store = RunStore.create_or_resume(Path(sys.argv[1]), {})
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
try:
    for sample in range(100_000):
        store.add_completion(key(sample=sample), completion(sample))
except UsageError as error:
    print(error)
try:
    store.close()
except UsageError as error:
    print(error)
"""


def test_a_full_disk_is_one_sentence_and_keeps_what_was_stored(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(folder)], capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"cannot write {folder / 'run.db'}: ") for line in lines)
    with RunStore.open(folder, writable=True) as store:
        stored = sorted(sample for _, sample in store.finished("sums", "p"))
        assert stored == list(range(len(stored)))
        store.add_completion(key(sample=len(stored)), completion(1))
        assert store.completion(key(sample=len(stored))) == completion(1)


def test_more_rows_than_the_queue_holds_are_all_stored(tmp_path: Path) -> None:
    async def write(store: RunStore) -> None:
        for sample in range(20_000):
            await store.drain()
            store.add_verdict(SampleKey("sums", "p1", "p", 0, sample), CORRECT)

    with RunStore.create_or_resume(tmp_path / "run", {}) as store:
        asyncio.run(write(store))
        assert store.count().correct == 20_000
