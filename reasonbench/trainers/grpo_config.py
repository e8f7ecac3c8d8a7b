"""What a run of reinforcement learning can be told; presets fill in what is not said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from reasonbench.engines.config import check_replicas
from reasonbench.errors import UsageError, unknown
from reasonbench.in_loop import LoopEval
from reasonbench.trainers.advantages import GroupAdvantage
from reasonbench.trainers.checkpoint import RESUMABLE
from reasonbench.trainers.config import OptimizerConfig, ScheduleConfig, _Strict
from reasonbench.trainers.policy_losses import PolicyLoss
from reasonbench.trainers.presets import PRESETS, AdvantageKind, Preset

Overlong = Literal["none", "mask", "soft"]

VOLATILE = frozenset(
    {*RESUMABLE, "save_every", "gpu_price", "gpus", "engine_args", "keep_groups", "replicas", "ray"}
)
"""Settings that may differ between a run and its resumption: what is learned depends on them by
rounding at most (devices and their threads, options of the engine)."""


class CriticConfig(_Strict):
    """The critic of PPO: a value head on a copy of the policy."""

    gamma: float = Field(default=1.0, gt=0, le=1)
    """Discount of a reward one token later."""
    lam: float = Field(default=1.0, ge=0, le=1)
    """GAE's trade of variance against bias; 1 is the return minus the value."""
    clip: float = Field(default=0.2, gt=0)
    """How far a value may move from its old one before the loss is cut (PPO's value clipping)."""
    warmup: int = Field(default=0, ge=0)
    """Batches of roll-outs at the beginning from which only the critic learns."""
    whiten: bool = True
    """Advantages of a batch get mean 0 and deviation 1."""
    optimizer: OptimizerConfig = OptimizerConfig()
    """Its optimizer and rates (TinyZero: 1e-5)."""


class RewardModelConfig(_Strict):
    """A reward model beside the rules."""

    model: str
    """"builtin-prm", "builtin-orm", a folder or a hub id."""
    weight: float = 1.0
    """What its score is multiplied by; 0 logs it only."""
    kind: str = "auto"
    """How to speak to it; see docs/rewards.md."""
    engine: str = "auto"
    """vllm, transformers, or auto."""
    aggregate: Literal["last", "min", "prod", "mean"] = "last"
    """How a process reward's steps become one number."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """Further fields of how a reward is opened (`options`, `dtype`, `engine_args`)."""


class GrpoConfig(_Strict):
    """A run: which policy, on which problems, for which rewards, by which algorithm."""

    model: str = "builtin"
    """Folder or hub name of the policy to start from; "builtin" is the built-in one."""
    preset: str = "grpo"
    """The algorithm: grpo, r1-zero, dr-grpo, dapo, gspo, cispo, rloo or ppo."""
    benchmark: list[str] = Field(default_factory=list)
    """Problems to train on: a built-in family (its endless training problems, never the test
    split), or a benchmark by name (`gsm8k-train`)."""
    data: list[str] = Field(default_factory=list)
    """Files of problems: rows with `question`, `answer`, and optionally `id`, `kind`, `level`,
    `subject`, and `rules`, the names of the rewards that apply to this row."""
    levels: list[str] = Field(default_factory=list)
    """Only problems of these levels; all by default."""
    rules: list[str] = Field(default_factory=lambda: ["accuracy:1"])
    """Rewards by rule with their weights (`format:0.1`); weight 0 is logged only."""
    reward: RewardModelConfig | None = None
    """A reward model."""

    steps: int = Field(default=100, ge=1)
    """Batches of roll-outs; each gives `epochs` × `minibatches` updates."""
    problems: int = Field(default=32, ge=1)
    """Problems (groups) of a batch."""
    group: int = Field(default=8, ge=1)
    """Roll-outs of each problem; the preset's where not given."""
    temperature: float = Field(default=1.0, gt=0)
    """Of sampling; the loss is computed at the same temperature."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Of sampling; below 1 the engine's log-probabilities are not the trainer's."""
    max_tokens: int | None = Field(default=None, ge=1)
    """The most tokens of a roll-out; the benchmark's own limit where not given."""
    prompt: Literal["direct", "step", "r1"] | None = None
    """Prompt style; that of the benchmark's protocol where not given, as `reasonbench eval`."""
    system: str | None = None
    """System prompt."""
    thinking: bool | None = None
    """What the chat template is told; its own default where not given."""
    chat: bool | None = None
    """Use the chat template (true), plain text (false), or the template where there is one."""
    asynchronous: bool = False
    """Write the next batch while this one is trained on: its policy is one step old, for which the
    loss corrects (truncated importance sampling) unless `loss.correction` says otherwise."""
    filter_groups: bool | None = None
    """Drop groups whose rewards are all equal and sample others in their place (DAPO's dynamic
    sampling); the preset's where not given."""
    refills: int = Field(default=8, ge=0)
    """Rounds of refilling at most; then the batch is smaller."""
    overlong: Overlong | None = None
    """What happens to roll-outs cut by the limit: nothing, no loss on them ("mask"), or a penalty
    that grows over the last `overlong_cache` tokens ("soft", DAPO equation 13)."""
    overlong_cache: int | None = Field(default=None, ge=1)
    """The last tokens before the limit, over which the soft penalty grows to 1."""

    loss: dict[str, Any] = Field(default_factory=dict)
    """Fields of the policy loss that differ from the preset's (`loss.beta`, `loss.high`)."""
    advantage: GroupAdvantage | None = None
    """How rewards of a group become advantages; the preset's where not given."""
    epsilon: float = Field(default=1e-4, ge=0)
    """Added to the standard deviation (TRL's value)."""
    epochs: int = Field(default=1, ge=1)
    """How often a batch of roll-outs is gone through."""
    minibatches: int = Field(default=1, ge=1)
    """Updates in each of these passes; the preset's where not given."""
    batch_tokens: int = Field(default=8192, ge=2)
    """Padded tokens of a micro-batch at most; gradients of an update's micro-batches add up."""
    recompute: bool = False
    """Compute the inside of each layer again in the backward pass rather than keep it: a third more
    computation, much less memory."""
    reference_every: int | None = Field(default=None, ge=1)
    """Replace the reference by the policy every so many updates; the preset's where not given."""
    optimizer: OptimizerConfig = OptimizerConfig(lr=1e-6, adamw_lr=1e-6)
    """Optimizer and rates of the policy; the preset's rate where not given."""
    schedule: ScheduleConfig = ScheduleConfig(warmup=0.0, decay="constant")
    """Warm-up and decay, in shares of the run."""
    critic: CriticConfig = CriticConfig()
    """PPO's critic."""
    ratio_limit: float = Field(default=1e3, gt=1)
    """A probability ratio above this stops the run."""
    drift_limit: float = Field(default=1.0, gt=0)
    """So does an update whose tokens are on average this many nats (k3) from the policy that
    sampled them: it sees probabilities that collapse, as the ratio sees those that explode."""
    tolerance: float | None = Field(default=None, gt=0)
    """Mean gap in nats a token between engine and trainer after a push above which the run stops;
    by the precision where not given."""

    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    """Precision of computation, in the trainer and in the engine; the masters are fp32."""
    device: str = "auto"
    """`cpu`, `cuda`, or `auto`: CUDA where there is one."""
    threads: int | None = Field(default=None, ge=1)
    """CPU threads of the trainer; torch's default where not given."""
    engine: str = "auto"
    """What writes the roll-outs: vllm, transformers, or auto: vLLM where it is installed."""
    engine_args: dict[str, Any] = Field(default_factory=dict)
    """Options of the engine's backend."""
    replicas: int | None = Field(default=None, ge=1)
    """vLLMs that write the roll-outs, one per actor of a Ray cluster; weights go to all of them."""
    ray: str | None = None
    """Address of the cluster (HOST:PORT of its head, or "auto"); one is started here by default."""
    seed: int = 0
    """Of the problems' order, of sampling and of the order of training."""
    save_every: int = Field(default=20, ge=0)
    """Batches between two checkpoints; 0 writes none."""
    evaluation: LoopEval | None = None
    """Evaluation in the loop, by the live engine, into the run's own store; none by default."""
    check_benchmarks: tuple[str, ...] = ()
    """Benchmarks whose problems are looked for in the data, beside those that are evaluated:
    a warning says what was found, `contamination.json` all of it."""
    keep_groups: int = Field(default=1, ge=0)
    """Groups of every step whose roll-outs are kept as text, in DIR/rollouts.jsonl."""
    log: list[str] = Field(default_factory=list)
    """Also log to tensorboard (DIR/tensorboard), wandb or trackio; the run store has it anyway."""
    gpu_price: float | None = Field(default=None, ge=0)
    """US dollars an hour of one GPU (or of the machine), for the curves."""
    gpus: int = Field(default=1, ge=1)
    """GPUs that the price and GPU-seconds are counted for."""


@dataclass(frozen=True, slots=True)
class Algorithm:
    """A preset with what the configuration changes of it.

    Attributes:
        loss: of the policy.
        advantage: of a group, or "gae" with a critic.
        filter_groups: drop and refill groups without variance.
        overlong: what happens to roll-outs that the limit cut.
        cache: tokens over which the soft penalty grows.
        reference_every: updates between two replacements of the reference; None for never.
        critic: whether values come from a critic.
    """

    loss: PolicyLoss
    advantage: AdvantageKind
    filter_groups: bool
    overlong: Overlong
    cache: int
    reference_every: int | None
    critic: bool

    @property
    def reference(self) -> bool:
        """Whether a reference model is needed."""
        return self.loss.kl != "none" and self.loss.beta != 0


def algorithm(config: GrpoConfig, max_tokens: int) -> Algorithm:
    """What the preset and the configuration together say.

    Args:
        max_tokens: of a roll-out: the constant length of "constant" where none is given.

    Raises:
        UsageError: a loss setting that does not exist, or settings that contradict each other.
    """
    preset = _preset(config.preset)
    loss = _loss(preset, config.loss, max_tokens, config.asynchronous)
    overlong: Overlong = config.overlong or ("soft" if preset.overlong else "none")
    cache = config.overlong_cache
    if cache is None:
        # the paper's share of its limit, where the limit is another
        longest, last = preset.overlong or (5, 1)
        cache = max(1, max_tokens * last // longest)
    if overlong == "soft" and cache >= max_tokens:
        raise UsageError(f"overlong_cache {cache} must be below max_tokens {max_tokens}")
    if not preset.critic and config.group < 2:
        raise UsageError(f"preset {preset.name} compares the roll-outs of a group: set group to 2+")
    filtered = preset.filter_groups if config.filter_groups is None else config.filter_groups
    if filtered and config.group < 2:
        raise UsageError("filter_groups compares the roll-outs of a group: set group to 2+")
    if config.minibatches > config.problems * config.group:
        raise UsageError("minibatches cannot be more than the roll-outs of a batch")
    return Algorithm(
        loss=loss,
        advantage="gae" if preset.critic else config.advantage or preset.advantage,
        filter_groups=filtered,
        overlong=overlong,
        cache=cache,
        reference_every=config.reference_every or preset.reference_every,
        critic=preset.critic,
    )


def _preset(name: str) -> Preset:
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS)
    return PRESETS[name]


def _loss(
    preset: Preset, changes: Mapping[str, Any], max_tokens: int, asynchronous: bool
) -> PolicyLoss:
    """The preset's loss with what is changed of it; late roll-outs get an importance weight."""
    known = [f.name for f in fields(PolicyLoss)]
    for name in changes:
        if name not in known:
            raise unknown("setting of the policy loss", name, known)
    values = {**asdict(preset.loss), **changes}
    if asynchronous and "correction" not in changes and values["correction"] == "none":
        values["correction"] = "truncate"
    if values["aggregate"] == "constant" and "length" not in changes:
        # where the source divides by its longest completion, this run does by its own
        longest = preset.defaults.get("length")
        values["length"] = max_tokens if values["length"] in (None, longest) else values["length"]
    try:
        return TypeAdapter(PolicyLoss).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UsageError(f"training setting loss.{where}: {first['msg']}") from error


def parse_grpo(settings: Mapping[str, Any]) -> GrpoConfig:
    """Checked settings; those of the preset (rates, group size) stand where nothing is said.

    Raises:
        UsageError: a key that does not exist, or a value out of range, in one sentence.
    """
    given = dict(settings)
    if isinstance(given.get("reward"), str):
        given["reward"] = {"model": given["reward"]}
    for name in ("benchmark", "data", "rules"):
        if isinstance(given.get(name), str):
            given[name] = [given[name]]
    try:
        config = GrpoConfig.model_validate(with_preset(given))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            raise unknown("training setting", key, GrpoConfig.model_fields) from error
        raise UsageError(f"training setting {key}: {first['msg']}") from error
    if not config.benchmark and not config.data:
        raise UsageError("name the problems to train on: --benchmark NAME or --data FILE.jsonl")
    check_replicas(config.engine, config.replicas, config.ray)
    return config


_FROM_PRESET = {"group": "group", "updates": "minibatches", "temperature": "temperature"}
"""Values of a preset's source that stand where nothing is said. Its number of problems and its
lengths do not: they are of its own scale. Its warm-up, in batches of roll-outs, takes at most
`_LONGEST_WARMUP` of a run."""

_LONGEST_WARMUP = 0.2


def with_preset(given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with what the preset's source used below them."""
    values = dict(given)
    defaults = _preset(str(values.get("preset", "grpo"))).defaults
    for name, setting in _FROM_PRESET.items():
        if name in defaults:
            value = defaults[name]
            values.setdefault(setting, value if name == "temperature" else int(value))
    if "warmup" in defaults:
        steps = values.get("steps", GrpoConfig.model_fields["steps"].default)
        if isinstance(steps, int) and steps > 0:
            share = min(_LONGEST_WARMUP, defaults["warmup"] / steps)
            values["schedule"] = _over({"warmup": share}, values.get("schedule", {}))
    if "lr" in defaults:
        values["optimizer"] = _over(_rates(defaults["lr"]), values.get("optimizer", {}))
    critic: dict[str, Any] = {k: defaults[k] for k in ("gamma", "lam") if k in defaults}
    if "value_clip" in defaults:
        critic["clip"] = defaults["value_clip"]
    if "critic_lr" in defaults:
        critic["optimizer"] = _rates(defaults["critic_lr"])
    if critic:
        given_critic = values.get("critic", {})
        if "optimizer" in critic and isinstance(given_critic, Mapping):
            rates = _over(critic["optimizer"], given_critic.get("optimizer", {}))
            given_critic = {**given_critic, "optimizer": rates}
        values["critic"] = _over(critic, given_critic)
    return values


def _over(defaults: Mapping[str, Any], given: Any) -> Any:
    """The defaults under a table; what is none is left as it is, for the check to refuse."""
    return {**defaults, **given} if isinstance(given, Mapping) else given


def _rates(rate: float) -> dict[str, float]:
    return {"lr": rate}
