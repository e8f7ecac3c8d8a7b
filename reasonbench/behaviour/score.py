"""What programs of a run do, stored beside them: classes and weights come from the store alone.

Rewards, one row per sample (docs/strategies.md):

- `public`: the share of visible examples that it passes (1 where there are none);
- `codet:MxK`: `whole` is the number of tests passed, of those in the first K asserts of M
  completions; the steps are a digest of the tests, then which of them it passes, 48 a step;
- `behaviour:INPUTS` and `behaviour:INPUTS:MxK`: `whole` is the class of its outputs on the shared
  inputs, −1 where it abstains; the steps are a digest of the inputs, then the class again.

Equal steps are one class. A digest that is not that of today's tests or inputs (a killed run had
fewer of them) makes all programs of the problem run again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b

from reasonbench.behaviour import observe
from reasonbench.behaviour.asserts import arguments, written_tests
from reasonbench.behaviour.inputs import shared
from reasonbench.behaviour.observe import Runs
from reasonbench.runs.store import RunStore
from reasonbench.runs.stored import SampleKey, Scores, Series, StoredProblem, StoredSample
from reasonbench.strategies import AnyStrategy, Behaviour
from reasonbench.strategies.base import PUBLIC

STALE = (PUBLIC, "codet:*", "behaviour:*")
"""Rewards that are computed anew when a run is graded again."""

_BITS = 48
"""Bits of a number that is stored exactly as a float."""


async def score(
    store: RunStore,
    code: Runs,
    stored: StoredProblem,
    pool: str,
    tests_pool: str | None,
    strategies: Sequence[AnyStrategy],
    weight_version: int = 0,
) -> None:
    """Run the programs of one problem for the strategies that choose by what these do.

    Args:
        stored: the problem with its programs, of one weight version.
        tests_pool: holds the tests that the model wrote for it.
        strategies: that draw from the pool.

    Raises:
        UsageError: programs cannot be run on this machine.
    """
    series = Series(stored.problem.benchmark, pool, weight_version)
    public = [s.n for s in strategies if s.public or s.scorer == PUBLIC]
    if public:
        await _public(store, code, stored, series, max(public))
    sizes: dict[Behaviour, int] = {}
    for strategy in strategies:
        if strategy.behaviour is not None:
            sizes[strategy.behaviour] = max(strategy.n, sizes.get(strategy.behaviour, 0))
    for behaviour, n in sizes.items():
        written: list[str] = []
        if behaviour.completions and tests_pool is not None:
            written = _written(store, stored, series._replace(pool=tests_pool), behaviour)
        samples = [s for s in stored.samples if s.sample < n]
        run = _passed if behaviour.by == "tests" else _observed
        await run(store, code, stored, series, samples, behaviour, written)


def program(sample: StoredSample) -> str | None:
    """What a sample answers, if it may vote: a completion that the token limit cut may not."""
    return None if sample.finish == "length" else sample.answer


def classes(samples: Sequence[StoredSample], behaviour: Behaviour) -> tuple[int, ...]:
    """The class of each sample by what is stored of its behaviour; −1 abstains."""
    numbers: dict[tuple[float, ...], int] = {}
    found = []
    for sample in samples:
        scores = sample.scores.get(behaviour.reward, Scores())
        votes = program(sample) is not None and scores.whole is not None and scores.whole >= 0
        found.append(numbers.setdefault(scores.steps, len(numbers)) if votes else -1)
    return tuple(found)


def passes_examples(sample: StoredSample) -> bool:
    """Whether a program passes every visible example."""
    return sample.scores.get(PUBLIC, Scores()).whole == 1.0


async def _public(
    store: RunStore, code: Runs, stored: StoredProblem, series: Series, n: int
) -> None:
    samples = [s for s in stored.samples if s.sample < n and PUBLIC not in s.scores]
    found = await observe.public(code, stored.problem, [program(s) for s in samples])
    for sample, (passed, there) in zip(samples, found, strict=True):
        share = passed / there if there else 1.0
        store.add_score(_key(stored, series, sample), PUBLIC, whole=share)


async def _passed(
    store: RunStore,
    code: Runs,
    stored: StoredProblem,
    series: Series,
    samples: Sequence[StoredSample],
    behaviour: Behaviour,
    written: Sequence[str],
) -> None:
    digest = _digest(written)
    todo = [s for s in samples if not _is_fresh(s, behaviour, digest)]
    question = stored.problem.question
    found = await observe.passed(code, question, [program(s) for s in todo], written)
    for sample, bits in zip(todo, found, strict=True):
        steps = (digest, *_packed(bits))
        store.add_score(
            _key(stored, series, sample), behaviour.reward, steps, whole=float(sum(bits))
        )


async def _observed(
    store: RunStore,
    code: Runs,
    stored: StoredProblem,
    series: Series,
    samples: Sequence[StoredSample],
    behaviour: Behaviour,
    written: Sequence[str],
) -> None:
    question = stored.problem.question
    called = arguments(written, question.data.get("entry", ""))
    inputs = shared(question, by_type=behaviour.inputs in ("type", "all"), by_model=called)
    digest = _digest(inputs.all)
    if all(_is_fresh(s, behaviour, digest) for s in samples):
        return
    programs = [program(s) for s in samples]
    numbers = await observe.classes(code, question, programs, inputs)
    for sample, number in zip(samples, numbers, strict=True):
        value = float(number)
        store.add_score(
            _key(stored, series, sample), behaviour.reward, (digest, value), whole=value
        )


def _written(
    store: RunStore, stored: StoredProblem, series: Series, behaviour: Behaviour
) -> list[str]:
    """The tests that the model wrote for a problem."""
    where = (series.benchmark, stored.problem.id, series.pool)
    prompt = store.prompt(*where)
    thinking_open = prompt is not None and prompt.prompt.thinking_open
    texts = [
        (sample.text, thinking_open)
        for sample in store.of_problem(*where, series.weight_version, text=True)
        if sample.text is not None and sample.sample < behaviour.completions
    ]
    return written_tests(texts, stored.problem.question.data.get("entry", ""), per=behaviour.per)


def _is_fresh(sample: StoredSample, behaviour: Behaviour, digest: float) -> bool:
    steps = sample.scores.get(behaviour.reward, Scores()).steps
    return bool(steps) and steps[0] == digest


def _key(stored: StoredProblem, series: Series, sample: StoredSample) -> SampleKey:
    return SampleKey(series.benchmark, stored.problem.id, *series[1:], sample.sample)


def _digest(texts: Iterable[str]) -> float:
    joined = "\x1f".join(texts).encode(errors="surrogatepass")
    return float(int.from_bytes(blake2b(joined, digest_size=_BITS // 8).digest(), "big"))


def _packed(bits: Sequence[bool]) -> list[float]:
    """Bit i of step j is test 48 j + i."""
    return [
        float(sum(bit << i for i, bit in enumerate(bits[start : start + _BITS])))
        for start in range(0, len(bits), _BITS)
    ]
