"""Logs of other harnesses become a run: every sample is graded anew, or says why it cannot be."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from reasonbench.errors import UsageError
from reasonbench.grading.graders import Graders
from reasonbench.imports.matching import Given, Known, own_problem
from reasonbench.imports.parts import Part
from reasonbench.imports.samples import Imported, Log
from reasonbench.imports.tasks import benchmark_of
from reasonbench.recorded import Agreement, Disagreement
from reasonbench.recorded_problems import unfenced
from reasonbench.runs import RunStore, SampleKey
from reasonbench.summary import MODEL, PLAN, summarise
from reasonbench.together import together
from reasonbench.types import Completion, ModelInfo, Problem, Usage, Verdict
from reasonbench.verdicts import UNGRADABLE, grade, grade_answer

LONGEST = 4 << 20
"""Characters of a response that is stored and graded."""

CHANGED = "a log changed while it was read; import it again."

UNKNOWN_MODEL = "unknown"


@dataclass(frozen=True, slots=True)
class Brought:
    """A run that was made of logs.

    Attributes:
        results: what results.json holds.
        agreement: of our verdicts with the harness's.
    """

    results: Mapping[str, Any]
    agreement: Agreement


class Import:
    """Logs on their way into a run. `survey` them first: it finds what is damaged."""

    def __init__(
        self,
        logs: Sequence[Log],
        given: Sequence[Given],
        *,
        metric: str | None = None,
        required: bool = False,
    ) -> None:
        """Args:
        logs: of one model.
        given: benchmarks whose problems are looked for.
        metric: whose verdict counts as the harness's own.
        required: a benchmark that no sample answers is an error.
        """
        self.logs = logs
        self.required = required
        self.metric = metric
        self.parts: dict[str, Part] = {}
        self.total = 0
        self._given = {one.loaded.problems[0].benchmark: one for one in given}
        self._known = Known(given)
        self._metrics: dict[str, None] = {}
        self._labelled = False

    @property
    def kinds(self) -> set[str]:
        """Of answers: "code" where programs are among them."""
        return {"code" if part.code else "math" for part in self.parts.values()}

    def survey(self) -> None:
        """Read everything once: count it, and find what is damaged before anything is written.

        Raises:
            UsageError: a log is damaged or holds no sample; no sample has the wanted metric, or
                answers a problem of a benchmark that was named.
        """
        for log in self.logs:
            for sample in log.samples():
                self._metrics |= dict.fromkeys(sample.scores)
                if sample.again is None:
                    self._count(log, sample)
            if not any(log.path.name in part.files for part in self.parts.values()):
                raise UsageError(f"{log.path} holds no samples.")
        if self.metric is not None and not self._labelled:
            known = ", ".join(list(self._metrics)[:10]) or "none"
            raise UsageError(f"no sample has a verdict of {self.metric!r}; scores in the log: "
                             f"{known}.")  # fmt: skip

        missing = [name for name in self._given if name not in self.parts]
        if self.required and missing:
            kinds = {self._given[name].loaded.problems[0].question.kind for name in missing}
            why = "by text or id"
            if "choice" in kinds:
                why = "letters count with the log's own targets, so leave --benchmark out"
            raise UsageError(f"no sample answers a problem of {', '.join(missing)} ({why}).")

    def place(self, log: Log, sample: Imported) -> Problem:
        """The problem that a sample answers."""
        found = self._known.find(sample)
        if found is not None:
            return found
        name = sample.task
        return own_problem(sample, f"{name} (unmatched)" if name in self._given else name)

    def _count(self, log: Log, sample: Imported) -> None:
        problem = self.place(log, sample)
        part = self.parts.get(problem.benchmark)
        if part is None:
            part = self.parts[problem.benchmark] = Part(log.origin, sample.program)
        if part.programs != sample.program:
            raise UsageError(
                f"{sample.where}: other samples of {problem.benchmark} are "
                f"{'programs' if part.programs else 'whole responses'}, and this one is not: "
                "import them into runs of their own."
            )
        part.tasks.add(sample.task)
        part.files[log.path.name] = None
        part.counts[problem.id] += 1
        part.code |= problem.question.kind == "code"
        part.mixed |= log.origin.settings != part.origin.settings
        self.total += 1
        self._labelled |= sample.label is not None
        failure = _failure(sample)
        reason = failure or problem.hidden.get(UNGRADABLE)
        if reason is not None:
            part.reasons[reason.partition(":")[0]] += 1
        if failure is None:
            part.open_ended += sample.finish is None
            if sample.prompt_tokens is None or sample.decode_tokens is None:
                part.blind += 1

    def _notes(self) -> list[str]:
        found = [f"{log.path.name}: {note}" for log in self.logs for note in log.origin.notes]
        for name, part in self.parts.items():
            found += part.notes(name, self._given.get(name))
        if not self._labelled:
            found.append("the logs hold no verdicts of their own to compare ours with")
        return found

    async def bring(
        self,
        store: RunStore,
        *,
        model: str | None = None,
        workers: int = 1,
        advance: Callable[[Verdict], None] = lambda verdict: None,
    ) -> Brought:
        """Grade what was surveyed into a new run.

        Args:
            model: its name where the logs do not say it, or say it wrongly.
            workers: processes for grading.
            advance: told every verdict.

        Raises:
            UsageError: the logs are of several models, or changed since they were surveyed.
        """
        store.set_meta(MODEL, json.dumps(asdict(model_of(self.logs, model))))
        for part in self.parts.values():
            store.add_pool(part.pool, {"imported": True, "answers_only": part.programs})
        graders = Graders(workers=workers)
        agreement = Agreement()
        try:
            at_once = min(graders.in_flight(kind) for kind in self.kinds)
            jobs = self._jobs(store, graders, agreement, advance)
            if await together(jobs, store, at_once) != self.total:
                raise UsageError(CHANGED)
            plan = {
                "benchmarks": {
                    name: part.plan(name, self._given.get(name))
                    for name, part in self.parts.items()
                },
                "deviations": [part.deviation(name) for name, part in self.parts.items()],
                "notes": self._notes(),
            }
            store.set_meta(PLAN, json.dumps(plan))
            store.set_meta(AGREEMENT, json.dumps(written(agreement)))
            return Brought(await summarise(store, graders), agreement)
        finally:
            await graders.aclose()

    def _jobs(
        self,
        store: RunStore,
        graders: Graders,
        agreement: Agreement,
        advance: Callable[[Verdict], None],
    ) -> Iterator[Any]:
        done: Counter[tuple[str, str]] = Counter()
        for log in self.logs:
            before = Counter(done)
            for sample in log.samples():
                problem = self.place(log, sample)
                part = self.parts.get(problem.benchmark)
                if part is None or part.programs != sample.program:
                    raise UsageError(CHANGED)
                of = (problem.benchmark, problem.id)
                at = done[of] if sample.again is None else before[of] + sample.again
                key = SampleKey(problem.benchmark, problem.id, part.pool, 0, at)
                for name, score in sample.scores.items():
                    store.add_score(key, f"{log.origin.harness}:{name}", whole=score)
                if sample.again is not None:
                    continue
                if not done[of]:
                    store.add_problems([problem])
                done[of] += 1
                yield self._one(store, graders, problem, key, sample, agreement, advance)

    async def _one(
        self,
        store: RunStore,
        graders: Graders,
        problem: Problem,
        key: SampleKey,
        sample: Imported,
        agreement: Agreement,
        advance: Callable[[Verdict], None],
    ) -> None:
        failure = _failure(sample)
        if failure is not None:
            verdict = Verdict("ungraded", None, "imported", failure)
        else:
            part = self.parts[key.benchmark]
            usage = Usage()
            if not part.blind:
                usage = Usage(prompt_tokens=sample.prompt_tokens or 0,
                              decode_tokens=sample.decode_tokens or 0, requests=1)  # fmt: skip
            text = _program(problem, sample) if sample.program else sample.text or ""
            completion = Completion((), text, sample.finish or "stop", usage=usage)
            store.add_completion(key, completion)
            if sample.program:
                verdict = await grade_answer(graders, problem, text or None)
            else:
                verdict = await grade(graders, problem, completion)
        store.add_verdict(key, verdict)
        advance(verdict)
        if sample.label is not None:
            agreement.add(key, problem.gold, verdict, sample.label)


AGREEMENT = "agreement"
"""meta key: counts of `Agreement`, and the first of its disagreements."""


def written(agreement: Agreement) -> dict[str, Any]:
    """The agreement as JSON."""
    found = {
        name: getattr(agreement, name)
        for name in ("both_right", "both_wrong", "we_accept", "we_refuse", "ungraded")
    }
    listed = [
        {**each._asdict(), "verdict": asdict(each.verdict)} for each in agreement.disagreements
    ]
    return {**found, "disagreements": listed}


def agreement_of(store: RunStore) -> Agreement:
    """The agreement of a run that was imported."""
    found = json.loads(store.meta(AGREEMENT) or "{}")
    listed = [
        Disagreement(**{**each, "verdict": Verdict(**each["verdict"])})
        for each in found.pop("disagreements", [])
    ]
    return Agreement(**found, disagreements=listed)


def model_of(logs: Sequence[Log], name: str | None) -> ModelInfo:
    """What the logs say of their model.

    Args:
        name: what it shall be called; the logs' own name by default.

    Raises:
        UsageError: they name several, or are of several harnesses.
    """
    harnesses = sorted({log.origin.harness for log in logs})
    if len(harnesses) > 1:
        raise UsageError(f"a run is of one harness, and the files are of {', '.join(harnesses)}: "
                         "import them one at a time.")  # fmt: skip
    names = sorted({log.origin.model for log in logs if log.origin.model})
    if name is None and len(names) > 1:
        raise UsageError(f"a run has one model, and the logs are of {', '.join(names)}: import "
                         "them one at a time, or say its name with --model.")  # fmt: skip
    origin = logs[0].origin
    return ModelInfo(
        model=name or (names[0] if names else UNKNOWN_MODEL),
        engine=origin.harness,
        engine_version=origin.version,
        revision=origin.revision,
        dtype=origin.dtype,
        parameters=origin.parameters,
        active_parameters=None,
    )


def wanted(logs: Sequence[Log]) -> list[str]:
    """Names of the benchmarks whose problems the logs' tasks have, each once."""
    found: dict[str, None] = {}
    for log in logs:
        first = next(log.samples(), None)
        name = benchmark_of(first.task, log.origin.harness) if first is not None else None
        if name is not None:
            found[name] = None
    return list(found)


def _failure(sample: Imported) -> str | None:
    """Why nothing of a sample is stored but this."""
    if sample.failure is None and len(sample.text or "") > LONGEST:
        return f"the response is longer than {LONGEST >> 20} MB"
    return sample.failure


def _program(problem: Problem, sample: Imported) -> str:
    """A whole program: one that goes on from the prompt has it in front."""
    text = sample.text or ""
    if sample.continues:
        return str(problem.question.data.get("prefix", "")) + text
    return unfenced(text)
