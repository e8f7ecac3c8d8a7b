"""What runs inside vLLM's workers: exact seeds on CPU, and scores over the whole vocabulary.

`WorkerExtension.reasonbench_install` is called once on every worker after start-up. It replaces
the sampler of the V1 model runner by `ScoringSampler` and, on CPU, keeps the runner from rewinding
the random generators of requests whose prompt is not read to its end yet.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch
from vllm.config import set_current_vllm_config
from vllm.v1.outputs import LogprobsTensors, SamplerOutput
from vllm.v1.sample.ops.topk_topp_sampler import apply_top_k_top_p
from vllm.v1.sample.sampler import Sampler

from reasonbench.engines.columns import CERTAINTY, CONFIDENCE, KEY
from reasonbench.engines.vllm_weights import fingerprints, load_files, readable

_SEEDS_AT_ONCE = 64


class WorkerExtension:
    """Methods that vLLM adds to its worker class (`worker_extension_cls`)."""

    model_runner: Any
    vllm_config: Any
    reasonbench_version = 0
    _reasonbench_readable: frozenset[str] | None = None

    def reasonbench_install(self, host: str, parent: int) -> bool:
        """Put our sampler in place.

        Args:
            host, parent: machine and process id of the program; when it is gone, so is a worker
                on the same machine.

        Returns:
            whether scores over the vocabulary can be computed (not with speculative decoding).
        """
        if socket.gethostname() == host:
            follow(parent)
        runner = self.model_runner
        if not isinstance(getattr(runner, "sampler", None), Sampler):
            return False
        runner.sampler = ScoringSampler(runner)
        if runner.device.type == "cpu":
            _keep_unread_generators(runner)
            _draw_seeds_in_blocks(runner.sampler.topk_topp_sampler)
        return getattr(runner, "rejection_sampler", None) is None

    def reasonbench_load(self, files: Sequence[str], version: int) -> None:
        """Replace the weights by those in safetensors files that this machine can read.

        Raises:
            ValueError: a weight of the model is in none of them.
        """
        self.reasonbench_readable()
        with set_current_vllm_config(self.vllm_config):
            load_files(self.model_runner.get_model(), self.vllm_config.model_config, files)
        self.reasonbench_loaded(version)

    def reasonbench_loaded(self, version: int) -> None:
        """Forget what was made with the weights before, and remember the version of the new."""
        for state in ("reset_lora_state", "reset_encoder_cache", "reset_mm_cache"):
            getattr(self.model_runner, state, lambda: None)()
        self.reasonbench_version = version

    def reasonbench_held(self) -> tuple[int, dict[str, int]]:
        """The version that was loaded last, and the fingerprints of what is computed with."""
        names = self.reasonbench_readable()
        found = fingerprints(self.model_runner.get_model())
        return self.reasonbench_version, {name: found[name] for name in found.keys() & names}

    def reasonbench_readable(self) -> frozenset[str]:
        """See `readable`: asked before the first weights are replaced."""
        if self._reasonbench_readable is None:
            model = self.model_runner.get_model()
            self._reasonbench_readable = readable(model, self.vllm_config)
        return self._reasonbench_readable


def follow(parent: int) -> None:
    """End with the program, however it ended, and leave Ctrl-C to it."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while True:
            try:
                os.kill(parent, 0)
            except ProcessLookupError:
                os._exit(1)
            time.sleep(1.0)

    threading.Thread(target=watch, name="reasonbench-parent", daemon=True).start()


def _keep_unread_generators(runner: Any) -> None:
    """Let only requests that get a token draw from their generators.

    vLLM samples for every request of a step, also for those whose prompt is cut into chunks, and
    then rewinds the generators of the latter; a CPU generator cannot be rewound ("does not use
    offset"), which kills the engine. Without their generators these rows draw from the global one
    and are thrown away, and nothing needs rewinding: a request's n-th token is drawn with its n-th
    number, however its prompt was scheduled.
    """
    sample_tokens = runner.sample_tokens

    def with_read_prompts_only(grammar_output: Any) -> Any:
        generators = runner.input_batch.generators
        unread = runner.discard_request_mask.np[: runner.input_batch.num_reqs].nonzero()[0].tolist()
        held = {row: generators.pop(row) for row in unread if row in generators}
        try:
            return sample_tokens(grammar_output)
        finally:
            generators.update(held)

    runner.sample_tokens = with_read_prompts_only


def _draw_seeds_in_blocks(sampler: Any) -> None:
    """Draw the noise seeds of a request's next tokens at once instead of one a token.

    vLLM's CPU sampler takes one 31-bit number of a request's generator for every token; calling
    the generator costs more than the token's noise. A block of numbers is the same numbers.
    """
    plain = sampler.forward
    if plain.__func__ is not type(sampler).forward_cpu or sampler.use_fp64_gumbel:
        return
    drawn: WeakKeyDictionary[torch.Generator, list[int]] = WeakKeyDictionary()

    def next_seed(generator: torch.Generator) -> int:
        waiting = drawn.get(generator)
        if not waiting:
            block = torch.randint(0, 2**31, (_SEEDS_AT_ONCE,), generator=generator)
            waiting = drawn[generator] = block.tolist()[::-1]
        return waiting.pop()

    def forward(
        logits: torch.Tensor,
        generators: dict[int, torch.Generator],
        k: torch.Tensor | None,
        p: torch.Tensor | None,
    ) -> Any:
        if len(generators) != len(logits):
            unseeded = torch.randint(0, 2**31, (len(logits),)).tolist()
            seeds = [
                next_seed(generators[row]) if row in generators else unseeded[row]
                for row in range(len(logits))
            ]
        else:
            seeds = [next_seed(generators[row]) for row in range(len(logits))]
        logits = apply_top_k_top_p(logits, k, p)
        kept = None
        if sampler.logprobs_mode == "processed_logprobs":
            kept = logits.log_softmax(dim=-1, dtype=torch.float32)
        noise = torch.tensor(seeds, dtype=torch.long)
        return torch.ops._C.fused_gumbel_argmax(logits.to(torch.float32), noise), kept

    sampler.forward = forward


class ScoringSampler(Sampler):  # type: ignore[misc]  # the project skips vLLM's types
    """vLLM's sampler, which also fills the columns that reasonbench's requests ask for.

    The tokens are those vLLM's own sampler would have drawn. Without columns it only leaves out
    the ranks of the sampled tokens, which nobody reads.
    """

    def __init__(self, runner: Any) -> None:
        plain = runner.sampler
        super().__init__(plain.logprobs_mode, plain.use_fp64_gumbel)
        self.runner = runner

    def forward(
        self,
        logits: torch.Tensor,
        sampling_metadata: Any,
        predict_bonus_token: bool = False,
        logprobs_mode_override: Any = None,
    ) -> SamplerOutput:
        """One step for a batch: logits [rows, vocabulary] to tokens and log-probability columns."""
        batch = sampling_metadata
        last = batch.max_num_logprobs
        wanted = self._wanted() if last else []
        foreign = last is None or last > CONFIDENCE or (last > 0 and not any(wanted))
        if foreign or predict_bonus_token or logprobs_mode_override or batch.logprob_token_ids:
            return super().forward(logits, batch, predict_bonus_token, logprobs_mode_override)
        raw = self.compute_logprobs(logits)
        processed_rows = [row for row, want in enumerate(wanted) if want.get("processed")]
        scaled = self.apply_logits_processors(logits.to(torch.float32), batch, False)
        tokens, processed = self._sample(scaled, batch, bool(processed_rows))
        tokens = tokens.long().unsqueeze(-1)
        chosen = raw.gather(-1, tokens)
        columns = chosen.expand(-1, last + 1).clone() if last else chosen
        if processed_rows and processed is not None:
            rows = torch.tensor(processed_rows, device=raw.device)
            columns[rows, 0] = processed[rows].gather(-1, tokens[rows]).squeeze(-1)
        _fill(columns, raw, wanted)
        return SamplerOutput(
            sampled_token_ids=tokens.to(torch.int32),
            logprobs_tensors=LogprobsTensors(
                _names(tokens, last + 1, raw.shape[-1]),
                columns,
                torch.zeros(len(tokens), dtype=torch.int32, device=raw.device),
            ),
        )

    def _wanted(self) -> list[dict[str, Any]]:
        """What each row's request asks for; empty where it asks for nothing."""
        states = self.runner.requests
        extras = (
            states[request].sampling_params.extra_args
            for request in self.runner.input_batch.req_ids
        )
        return [(extra or {}).get(KEY) or {} for extra in extras]

    def _sample(
        self, logits: torch.Tensor, batch: Any, processed: bool
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Draw the tokens; log-probabilities after all cuts only where some row wants them."""
        sampled: tuple[torch.Tensor, torch.Tensor | None]
        if not processed:
            sampled = self.sample(logits, batch)
            return sampled
        self.topk_topp_sampler.logprobs_mode = "processed_logprobs"
        try:
            sampled = self.sample(logits, batch, "processed_logprobs")
        finally:
            self.topk_topp_sampler.logprobs_mode = self.logprobs_mode
        return sampled


def _names(tokens: torch.Tensor, columns: int, vocabulary: int) -> torch.Tensor:
    """Token ids for the columns: [rows, columns], different ones in each row.

    vLLM's client puts results that it merges through a dictionary by token id, which would keep
    one column of those with equal ids.
    """
    steps = torch.arange(columns, dtype=tokens.dtype, device=tokens.device)
    return ((tokens + steps) % vocabulary).to(torch.int32)


def _fill(columns: torch.Tensor, raw: torch.Tensor, wanted: list[dict[str, Any]]) -> None:
    """Write the scores over the vocabulary into their columns, for the rows that want them.

    Args:
        columns: [rows, columns]; column 0 is left as it is.
        raw: [rows, vocabulary], log-probabilities at T = 1.
        wanted: per row.
    """
    certain = [row for row, want in enumerate(wanted) if want.get("certainty")]
    if certain:
        # KL(uniform || p) = -log V - mean_v log p_v
        rows = raw if len(certain) == len(raw) else raw[certain]
        columns[certain, CERTAINTY] = -rows.mean(dim=-1) - torch.tensor(raw.shape[-1]).log().item()
    for top in {want["top"] for want in wanted if want.get("top")}:
        confident = [row for row, want in enumerate(wanted) if want.get("top") == top]
        likeliest = raw[confident].topk(min(top, raw.shape[-1]), dim=-1).values
        columns[confident, CONFIDENCE] = likeliest.mean(dim=-1)
