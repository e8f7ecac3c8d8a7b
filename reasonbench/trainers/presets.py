"""Published algorithms as rows of one table over the axes of `PolicyLoss`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from reasonbench.trainers.policy_losses import PolicyLoss

AdvantageKind = Literal["std", "mean", "rloo", "gae"]


@dataclass(frozen=True)
class Preset:
    """An algorithm and the values its source trained with.

    Attributes:
        name: as on the command line.
        loss: the policy loss.
        advantage: `group_advantages`'s kind, or `gae` with a critic.
        filter_groups: drop groups whose rewards are all equal and sample others in their place.
        overlong: (longest, margin) in tokens of the soft penalty for length, which falls from 0 at
            longest − margin to −1 at longest; None: no penalty.
        reference_every: policy updates after which the reference becomes the policy; None: never.
        critic: whether a value model is trained beside the policy.
        defaults: what the source used at its own scale: `lr`, `critic_lr`, `group` (completions a
            prompt), `prompts` (prompts a roll-out), `updates` (optimizer steps a roll-out),
            `length` (longest completion, tokens), `temperature`, `warmup` (roll-outs), `gamma`,
            `lam`, `value_clip`. A key the source does not state is absent.
        source: where the values stand.
    """

    name: str
    loss: PolicyLoss
    advantage: AdvantageKind
    source: str
    filter_groups: bool = False
    overlong: tuple[int, int] | None = None
    reference_every: int | None = None
    critic: bool = False
    defaults: Mapping[str, float] = field(default_factory=dict)


_ROWS = (
    Preset(
        "grpo",
        PolicyLoss(kl="k3", beta=0.04),
        "std",
        "DeepSeekMath, arXiv 2402.03300, eq. 3 and section 4.2; the clip 0.2 is PPO's usual one",
        defaults={"lr": 1e-6, "group": 64, "prompts": 16, "updates": 1, "length": 1024},
    ),
    Preset(
        "r1-zero",
        PolicyLoss(kl="k3", beta=0.001),
        "std",
        "DeepSeek-R1, arXiv 2501.12948, training details of R1-Zero; it states no clip for "
        "R1-Zero: 0.2 is kept here",
        reference_every=400,
        defaults={
            "lr": 3e-6,
            "group": 16,
            "prompts": 512,
            "updates": 16,
            "length": 32768,
            "temperature": 1.0,
        },
    ),
    Preset(
        "dr-grpo",
        PolicyLoss(aggregate="constant", length=3000),
        "mean",
        "Understanding R1-Zero-like training, arXiv 2503.20783, section 3.2 and appendix",
        defaults={"lr": 1e-6, "group": 8, "prompts": 128, "length": 3000, "temperature": 1.0},
    ),
    Preset(
        "dapo",
        PolicyLoss(low=0.2, high=0.28, aggregate="token"),
        "std",
        "DAPO, arXiv 2503.14476, eq. 8, eq. 13 and section 4.1",
        filter_groups=True,
        overlong=(20480, 4096),
        defaults={
            "lr": 1e-6,
            "group": 16,
            "prompts": 512,
            "updates": 16,
            "length": 20480,
            "warmup": 20,
        },
    ),
    Preset(
        "gspo",
        PolicyLoss(ratio="sequence", low=3e-4, high=4e-4),
        "std",
        "GSPO, arXiv 2507.18071, eqs. 5-7 and section 5.1 (four mini-batches a roll-out)",
        defaults={"updates": 4},
    ),
    Preset(
        "cispo",
        PolicyLoss(surrogate="cispo", high=5.0, aggregate="token"),
        "std",
        "MiniMax-M1, arXiv 2506.13585, eq. 4; the cap 5 after ScaleRL, arXiv 2510.13786",
    ),
    Preset(
        "rloo",
        PolicyLoss(surrogate="plain", aggregate="constant", length=1, kl="k1", kl_in="reward"),
        "rloo",
        "Back to basics, arXiv 2402.14740, eq. 8: −A log π of whole completions; a KL goes into "
        "the reward (beta 0 leaves it out)",
        defaults={"updates": 1},
    ),
    Preset(
        "ppo",
        PolicyLoss(aggregate="token", kl="k1", kl_in="reward", beta=0.001),
        "gae",
        "PPO, arXiv 1707.06347, eq. 7; rates, KL and batch of TinyZero's scripts",
        critic=True,
        defaults={
            "lr": 1e-6,
            "critic_lr": 1e-5,
            "group": 1,
            "prompts": 256,
            "updates": 4,
            "length": 1024,
            "gamma": 1.0,
            "lam": 1.0,
            "value_clip": 0.5,
        },
    ),
)

PRESETS: Mapping[str, Preset] = {row.name: row for row in _ROWS}
"""By name: grpo, r1-zero, dr-grpo, dapo, gspo, cispo, rloo, ppo."""
