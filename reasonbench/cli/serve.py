"""`reasonbench serve`: strategies as models of an OpenAI-compatible server."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from reasonbench.cli.eval import overridden
from reasonbench.config import EvalConfig, make
from reasonbench.errors import UsageError

if TYPE_CHECKING:
    from reasonbench.engines.base import Engine
    from reasonbench.server.app import Service
    from reasonbench.server.solving import Verifier


@dataclass(frozen=True, slots=True)
class _Where:
    """Where and for whom a server listens."""

    host: str
    port: int
    api_key_env: str | None
    without_key: bool
    max_calls: int
    max_body: int
    max_n: int
    max_tokens: int
    grader: str
    shutdown_seconds: float
    quiet: bool


@click.command(name="serve")
@click.option("--model", "-m", help="Folder, hub id or 'builtin' (the default).")
@click.option("--strategy", "-s", multiple=True,
              help="Serve only this name@n:option=value,… Repeats; without it, any.")  # fmt: skip
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535),
              help="0 is any free one.")  # fmt: skip
@click.option("--api-key-env", metavar="NAME", help="Environment variable that holds the key.")
@click.option("--without-key", is_flag=True, help="Let other machines in without a key.")
@click.option("--max-calls", default=256, show_default=True, type=click.IntRange(1),
              help="Calls answered at once.")  # fmt: skip
@click.option("--max-body", default=1 << 20, show_default=True, type=click.IntRange(1),
              help="Bytes of a call.")  # fmt: skip
@click.option("--max-n", default=64, show_default=True, type=click.IntRange(1),
              help="Largest n where any strategy is served.")  # fmt: skip
@click.option("--max-tokens", default=2048, show_default=True, type=click.IntRange(1),
              help="Tokens of a completion where nobody says.")  # fmt: skip
@click.option("--grader", type=click.Choice(["math", "integer", "choice"]), default="math",
              show_default=True, help="How answers are read and compared.")  # fmt: skip
@click.option("--shutdown-seconds", default=30.0, show_default=True, type=click.FloatRange(1),
              help="What calls may still take after SIGTERM.")  # fmt: skip
@click.option("--seed", type=int, help="Seed of calls that give none (default 0).")
@click.option("--system", help="System message of conversations without one.")
@click.option("--engine", help="auto, or a name of `list engines`.")
@click.option("--replicas", type=int, help="vLLMs that serve the model, one per Ray actor.")
@click.option("--ray", metavar="ADDRESS", help="Ray cluster: HOST:PORT or auto (one started here).")
@click.option("--base-url", multiple=True, help="URL of a served model (openai:NAME). Repeats.")
@click.option("--upstream-key-env", "served_key_env", metavar="NAME",
              help="Variable that holds those servers' key (OPENAI_API_KEY).")  # fmt: skip
@click.option("--tokenizer", help="Folder or hub id of the tokenizer, if not the model's own.")
@click.option("--revision", help="Revision of a hub model.")
@click.option("--dtype", help="Number format of computation.")
@click.option("--quantization", help="Quantisation method to load with.")
@click.option("--lora", help="Folder of a LoRA adapter.")
@click.option("--max-model-len", type=int, help="Most tokens of prompt and completion.")
@click.option("--engine-arg", multiple=True, metavar="KEY=VALUE",
              help="Backend option as it is. Repeats.")  # fmt: skip
@click.option("--trust-remote-code", is_flag=True, default=None, help="Run a hub model's code.")
@click.option("--reward", help="Model that judges: builtin-prm, builtin-orm, folder or hub id.")
@click.option("--reward-kind", help="How it is spoken to (list rewards); recognised by default.")
@click.option("--reward-engine", help="auto, vllm or transformers.")
@click.option("--reward-revision", help="Revision of a hub reward.")
@click.option("--reward-arg", multiple=True, metavar="KEY=VALUE",
              help="Option of the reward. Repeats.")  # fmt: skip
@click.option("--reward-memory", type=float, help="Its share of a GPU's memory.")
@click.option("--grading-workers", type=int, help="Processes for symbolic comparison.")
@click.option("--quiet", "-q", is_flag=True, help="Say nothing but errors.")
def command(
    model: str | None,
    strategy: tuple[str, ...],
    host: str,
    port: int,
    api_key_env: str | None,
    without_key: bool,
    max_calls: int,
    max_body: int,
    max_n: int,
    max_tokens: int,
    grader: str,
    shutdown_seconds: float,
    quiet: bool,
    **options: Any,
) -> int:
    """Serve strategies over one model to clients of OpenAI's API.

    POST /v1/chat/completions with `"model": "maj@8"` or `"beam@16:…"`; GET /v1/models, /health and
    /metrics. Only this machine reaches it unless --host says otherwise, which takes a key.
    """
    where = _Where(
        host, port, api_key_env, without_key, max_calls, max_body, max_n, max_tokens, grader,
        shutdown_seconds, quiet,
    )  # fmt: skip
    options["api_key_env"] = options.pop("served_key_env")
    config = make(overridden({} if model is None else {"model": [model]}, options))
    return asyncio.run(_serve(config, strategy, where))


async def _serve(config: EvalConfig, strategies: Sequence[str], where: _Where) -> int:
    from reasonbench.grading.graders import Graders

    _installed()
    key = _key(where)
    from reasonbench.server.app import application
    from reasonbench.server.catalogue import Catalogue
    from reasonbench.server.listen import Listener

    # what can be wrong is told before a model takes its time to load
    catalogue = Catalogue(strategies, reward=config.reward is not None, most=where.max_n)
    graders = Graders(workers=config.grading_workers)
    engine, verifier = await _opened(config, where)
    try:
        catalogue.fit(engine)
        service = _service(config, where, engine, verifier, graders, catalogue, key)
        listener = Listener(
            application(service), where.host, where.port, patience=where.shutdown_seconds
        )
        _stopped_by_signals(listener)

        def died(why: str) -> None:
            click.echo(f"reasonbench: the engine died: {why}", err=True)
            listener.stop()

        service.died = died
        if not where.quiet:
            click.echo(
                f"{engine.info.model} ({engine.info.engine} {engine.info.engine_version}) serves "
                f"{', '.join(catalogue.names)}{'' if strategies else ' and others'} at "
                f"http://{_shown(where.host)}:{listener.port}/v1",
                err=True,
            )
        await listener.run_until_stopped()
        return 0 if service.dead is None else 1
    finally:
        if verifier is not None:
            await verifier.reward.aclose()
        await engine.aclose()
        await graders.aclose()


def _service(
    config: EvalConfig,
    where: _Where,
    engine: Engine,
    verifier: Verifier | None,
    graders: Any,
    catalogue: Any,
    key: str | None,
) -> Service:
    from reasonbench.server.app import Limits, Service
    from reasonbench.server.counted import Counted
    from reasonbench.server.solving import Solver

    counted = Counted(engine)
    grader: Any = where.grader
    solver = Solver(
        counted, graders, verifier, grader, config.seed, config.system, where.max_tokens
    )
    return Service(solver, catalogue, counted, key, Limits(where.max_calls, where.max_body))


async def _opened(config: EvalConfig, where: _Where) -> tuple[Engine, Verifier | None]:
    """The engine, and the reward beside it."""
    from reasonbench import engines
    from reasonbench.evaluate import engine_config
    from reasonbench.rewarding import beside_reward, check_reward, open_configured, reward_name
    from reasonbench.server.solving import verifier_of

    (model,) = config.model
    own = engine_config(config, model)
    judged = config.reward is not None
    if judged:
        await asyncio.to_thread(check_reward, config)
    if not where.quiet:
        click.echo(f"starting {model} …", err=True)
    engine = await engines.open_engine(beside_reward(config, own, opening=judged))
    if engine.notice and not where.quiet:
        click.echo(f"note: {engine.notice}", err=True)
    if not judged:
        return engine, None
    try:
        reward = await open_configured(config, own, engine)
    except BaseException:
        await engine.aclose()
        raise
    return engine, verifier_of(reward, reward_name(config), engine)


def _key(where: _Where) -> str | None:
    """The key that clients must send.

    Raises:
        UsageError: the variable is empty, or other machines would be let in without a key.
    """
    from reasonbench.server.listen import is_local

    if where.api_key_env is not None:
        key = os.environ.get(where.api_key_env, "").strip()
        if not key:
            raise UsageError(f"--api-key-env {where.api_key_env}: the variable is not set.")
        return key
    if not is_local(where.host) and not where.without_key:
        raise UsageError(
            f"--host {where.host} lets other machines in: give --api-key-env NAME, or "
            "--without-key where whoever reaches it may use it."
        )
    return None


def _installed() -> None:
    """Raises:
    UsageError: the server's libraries are missing.
    """
    try:
        # only to see whether they are there: what uses them is imported later
        import prometheus_client  # noqa: F401
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"serving needs {error.name}: pip install 'reasonbench[serve]'."
        ) from error


def _stopped_by_signals(listener: Any) -> None:
    """The first Ctrl-C or SIGTERM lets calls end; the second aborts them."""
    loop = asyncio.get_running_loop()
    for which in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(which, listener.stop)


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
