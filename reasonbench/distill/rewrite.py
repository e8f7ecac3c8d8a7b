"""A second model puts responses into `<think>` and a closing summary (R1's cold-start data).

DeepSeek-R1 (2.3.1) gathered cold-start data, among other ways, by refining an earlier model's
outputs; Sky-T1 had its teacher's reasoning reformatted by a second model. What comes back is
held against what went in: the answer must be of the same class and still be right.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from reasonbench import protocols
from reasonbench.benchmarks.base import Benchmark, Loaded
from reasonbench.config import VOLATILE, EvalConfig
from reasonbench.distill.config import Rewrite
from reasonbench.distill.draft import Draft, Judged
from reasonbench.distill.response import parts
from reasonbench.engines import API_KEY, SERVED, Engine, EngineConfig, open_engine
from reasonbench.engines.openai import base_urls
from reasonbench.errors import UsageError
from reasonbench.generate import Observer, generate
from reasonbench.grading.graders import Graders
from reasonbench.open_run import open_run
from reasonbench.plan import Pool, Task
from reasonbench.prompts import configure
from reasonbench.runs import RunStore
from reasonbench.runs.stored import StoredSample
from reasonbench.strategies import parse
from reasonbench.summary import MODEL
from reasonbench.types import Completion, Problem, SamplingParams
from reasonbench.verdicts import grade

CHUNK: Final = 512
"""Responses that are rewritten together: enough to keep an engine busy, few enough to hold."""

BENCHMARK = "rewrite"
POOL = "rewrite"

PROMPT = """\
Below are a problem and a solution with its reasoning. Rewrite the solution so that it is easy to \
read, without changing the line of thought, its checks, its corrections or its answer.

Write first the reasoning, between <think> and </think>, in short paragraphs. After it write a \
summary: the main steps in a few sentences, and at the end the final answer exactly as the \
solution gives it (in \\boxed{}, or as the same code block). Write everything in the language of \
the problem. Put the whole result between <rewritten> and </rewritten>.

Problem:
{question}

Solution:
{response}
"""

_ELSEWHERE = frozenset({"rewrite.base_url", "rewrite.api_key_env"})
"""Settings of where the second model is served: no response depends on them."""

_MARKED = re.compile(r"<rewritten>((?:(?!<rewritten>).)*)</rewritten>", re.DOTALL)


def prompt_of(rewrite: Rewrite) -> str:
    """The request with its two places.

    Raises:
        UsageError: the file cannot be read, or one of the places is missing.
    """
    if rewrite.prompt is None:
        return PROMPT
    try:
        text = rewrite.prompt.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {rewrite.prompt}: {error}.") from None
    for place in ("{question}", "{response}"):
        if place not in text:
            raise UsageError(f"{rewrite.prompt} has no place for the {place[1:-1]}: write {place}.")
    return text


def beside(rewrite: Rewrite, teacher: EvalConfig | None) -> Rewrite:
    """The settings with the servers of a second model that is served: the teacher's by default.

    Raises:
        UsageError: no server, servers of a model that is not served, or a limit on money, which
            does not count a second model.
    """
    if not rewrite.model.startswith(SERVED) and rewrite.engine != "openai":
        if rewrite.base_url:
            raise UsageError(
                "--rewrite-base-url has no meaning without --rewrite-model openai:NAME."
            )
        return rewrite
    if teacher is not None and teacher.max_usd is not None:
        raise UsageError("--max-usd does not count what a served second model costs: leave it out.")
    urls = rewrite.base_url or tuple((teacher and teacher.base_url) or ())
    if not urls:
        raise UsageError(
            f"{rewrite.model} needs its server: --rewrite-base-url http://HOST:PORT/v1."
        )
    base_urls(urls)
    key = rewrite.api_key_env or (teacher and teacher.api_key_env)
    return rewrite.model_copy(update={"base_url": urls, "api_key_env": key})


def taken_out(text: str) -> str | None:
    """The rewritten response in what the second model wrote: one thinking span and a summary.

    Between the last `<rewritten>` and its end, so that the model may think before it; a response
    without these marks is taken whole. None where it has another form.
    """
    marked = _MARKED.findall(text)
    found = (marked[-1] if marked else text).strip()
    held = parts(found)
    if held is None or not held.thinking or not held.said or not found.startswith("<think>"):
        return None
    return f"<think>\n{held.thinking}\n</think>\n\n{held.said}"


class Rewriter:
    """The second model with the run that its responses are stored in.

    Use as `async with`; opens its engine when the first response is missing.
    """

    def __init__(
        self,
        rewrite: Rewrite,
        folder: Path,
        graders: Graders,
        observer: Observer,
        stop: asyncio.Event,
        engine: Engine | None = None,
    ) -> None:
        self.rewrite = rewrite
        self.failed = 0
        """Requests that its engine refused."""
        self._prompt = prompt_of(rewrite)
        self._graders, self._observer, self._stop = graders, observer, stop
        self._engine, self._own = engine, engine is None
        settings = rewrite.model_dump(mode="json", exclude_none=True)
        self._open = open_run(
            folder, {"rewrite": {**settings, "prompt": self._prompt}}, VOLATILE | _ELSEWHERE
        )
        self._store: RunStore | None = None
        self._model: dict[str, Any] = {}
        self._begun = False

    async def __aenter__(self) -> Rewriter:
        self._store = self._open.__enter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        try:
            if self._own and self._engine is not None:
                await self._engine.aclose()
        finally:
            self._open.__exit__(*error)

    async def chunk(self, drafts: Sequence[Draft]) -> AsyncIterator[Judged]:
        """Each draft rewritten, or rejected with what was wrong with the last try.

        They are sampled together: at most `CHUNK` keep memory bounded.
        """
        assert self._store is not None
        task = self._task(drafts)
        self._store.add_problems(task.problems)
        (pool,) = task.pools
        self._store.add_pool(pool.id, pool.recorded)
        if any(self._missing(task)) and not self._stop.is_set():
            await self._sample(task)
        for draft in drafts:
            yield await self._judge(draft)

    async def _sample(self, task: Task) -> None:
        assert self._store is not None
        if self._engine is None:
            self._observer.starting(self.rewrite.model)
            self._engine = await open_engine(_engine(self.rewrite))
        self._model = asdict(replace(self._engine.info, model=self.rewrite.model))
        outcome = await generate(
            [task],
            self._engine,
            self._store,
            self._graders,
            seed=self.rewrite.seed,
            max_in_flight=self._engine.in_flight,
            observer=_Onwards(self._observer, self._begun),
            stop=self._stop,
        )
        self._begun = True
        self.failed += outcome.failed

    def _missing(self, task: Task) -> Iterator[str]:
        assert self._store is not None
        ids = [problem.id for problem in task.problems]
        finished = self._store.finished(BENCHMARK, POOL, problems=ids)
        for problem in task.problems:
            if any((problem.id, sample) not in finished for sample in range(self.rewrite.tries)):
                yield problem.id

    def _task(self, drafts: Sequence[Draft]) -> Task:
        sampling = SamplingParams(
            temperature=self.rewrite.temperature,
            top_p=self.rewrite.top_p,
            max_tokens=self.rewrite.max_tokens,
        )
        style = configure("step", system=self.rewrite.system)
        pool = Pool(
            POOL,
            style,
            protocols.get("default"),
            self.rewrite.thinking,
            None,
            sampling,
            self.rewrite.tries,
            {"role": "rewritten", "temperature": sampling.temperature, "top_p": sampling.top_p,
             "max_tokens": sampling.max_tokens, "system": self.rewrite.system,
             "thinking": self.rewrite.thinking},
        )  # fmt: skip
        strategy = parse(f"cot@{self.rewrite.tries}", self.rewrite.tries)
        problems = tuple(map(self._problem, drafts))
        benchmark = Benchmark(BENCHMARK, "responses to rewrite")
        loaded = Loaded(problems, "distilled", None)
        return Task(benchmark, loaded, "default", ((strategy, pool),), (), (), MappingProxyType({}))

    def _problem(self, draft: Draft) -> Problem:
        problem = draft.problem
        # the response may hold braces and even the places' names: the question goes in first
        before, _, after = self._prompt.partition("{response}")
        asked = "{question}"
        text = (
            before.replace(asked, problem.question.text)
            + draft.response
            + after.replace(asked, problem.question.text)
        )
        question = replace(
            problem.question, id=draft.id, benchmark=BENCHMARK, text=text, instruction=""
        )
        return replace(problem, question=question)

    async def _judge(self, draft: Draft) -> Judged:
        assert self._store is not None
        last = Judged(draft, "rewrite: failed", "no response of the second model")
        for sample in self._store.of_problem(BENCHMARK, draft.id, POOL, text=True):
            if sample.text is None:
                continue
            last = await self._held(draft, sample)
            if last.reason is None:
                return last
        return last

    async def _held(self, draft: Draft, sample: StoredSample) -> Judged:
        """What came back against what went in."""
        text = sample.text or ""
        if sample.finish != "stop":
            return Judged(draft, "rewrite: truncated", text)
        response = taken_out(text)
        if response is None:
            return Judged(draft, "rewrite: broken form", text)
        verdict = await grade(self._graders, draft.problem, Completion((), response, "stop"))
        if verdict.verdict != "correct":
            return Judged(draft, f"rewrite: {verdict.verdict}", response)
        # a program counts as unchanged where it still passes every test
        if draft.problem.question.kind != "code":
            before, after = await self._graders.classes(
                draft.problem, [draft.answer, verdict.answer]
            )
            if before != after:
                return Judged(draft, "rewrite: answer changed", response)
        model = self._model_of()
        rewriter = {
            "model": model.get("model", self.rewrite.model),
            "revision": model.get("revision"),
            "engine": model.get("engine"),
            "try": sample.sample,
            "seed": sample.seed,
            "tokens": sample.tokens,
        }
        return Judged(
            replace(
                draft,
                response=response,
                answer=verdict.answer,
                layer=verdict.layer,
                tokens=sample.tokens or draft.tokens,
                source={**draft.source, "rewritten": rewriter},
            )
        )

    def _model_of(self) -> dict[str, Any]:
        """What is known of the second model, from this call or the one that used it."""
        assert self._store is not None
        if self._model:
            self._store.set_meta(MODEL, json.dumps(self._model))
        else:
            self._model = json.loads(self._store.meta(MODEL) or "{}")
        return self._model


class _Onwards:
    """An observer of one chunk after another: those behind the first add to its total."""

    def __init__(self, observer: Observer, begun: bool) -> None:
        self._observer, self._begun = observer, begun
        self.starting, self.advance, self.spare = (
            observer.starting,
            observer.advance,
            observer.spare,
        )

    def begin(self, total: int, done: int) -> None:
        if self._begun:
            self._observer.spare(done - total)
        else:
            self._observer.begin(total, done)


def _engine(rewrite: Rewrite) -> EngineConfig:
    return EngineConfig(
        model=rewrite.model,
        engine=rewrite.engine,
        revision=rewrite.revision,
        dtype=rewrite.dtype,
        max_model_len=rewrite.max_model_len,
        engine_args=rewrite.engine_arg,
        base_url=rewrite.base_url,
        api_key_env=rewrite.api_key_env or API_KEY,
        tokenizer=rewrite.tokenizer,
    )
