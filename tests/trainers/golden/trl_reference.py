"""Runs TRL's own trainers on the setting and collects their losses and gradients."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from tests.trainers.golden import setting

Case = dict[str, Any]


def tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {f"w{n}": n for n in range(setting.VOCABULARY)}
    inner = Tokenizer(models.WordLevel(words, unk_token="w2"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="w0", eos_token="w1", unk_token="w2"
    )


def words(ids: list[int]) -> str:
    return " ".join(f"w{i}" for i in ids)


def padded(rows: list[list[int]], left: bool = False) -> tuple[Tensor, Tensor]:
    """Ids and masks, padded to the longest row."""
    width = max(map(len, rows))
    ids, masks = [], []
    for row in rows:
        fill = [setting.PAD] * (width - len(row))
        ids.append(fill + row if left else row + fill)
        marks = [0] * len(fill), [1] * len(row)
        masks.append(marks[0] + marks[1] if left else marks[1] + marks[0])
    return torch.tensor(ids), torch.tensor(masks)


def arguments(**more: Any) -> dict[str, Any]:
    return {
        "output_dir": tempfile.mkdtemp(),
        "use_cpu": True,
        "bf16": False,
        "report_to": [],
        "disable_tqdm": True,
    } | more


def outcome(model: Any, loss: Tensor) -> dict[str, Any]:
    """Loss and the gradient of every parameter, to seven digits."""
    model.zero_grad()
    loss.backward()
    grads = {
        name: [float(f"{x:.7g}") for x in weight.grad.flatten().tolist()]
        for name, weight in model.named_parameters()
    }
    return {"loss": loss.item(), "gradients": grads}


def group_trainer(model: Any, case: Case, rewards: Callable[..., list[float]], rows: int) -> Any:
    """A GRPOTrainer or RLOOTrainer that never trains."""
    import trl
    from datasets import Dataset

    data = Dataset.from_list([{"prompt": words(p)} for p in setting.PROMPTS])
    options = dict(case)
    kind = options.pop("trainer", "GRPO")
    common = arguments(
        max_completion_length=setting.MAX_COMPLETION,
        num_generations=2,
        per_device_train_batch_size=rows,
        temperature=1.0,
    )
    config = getattr(trl, f"{kind}Config")(**(common | options))
    trainer = getattr(trl, f"{kind}Trainer")
    # TRL loads its reference from where the policy came from, by name.
    folder = tempfile.mkdtemp()
    model.save_pretrained(folder)
    model.config._name_or_path = folder
    return trainer(
        model=model,
        reward_funcs=rewards,
        args=config,
        train_dataset=data,
        processing_class=tokenizer(),
    )


def policy_case(case: Case) -> dict[str, Any]:
    """The loss of `GRPOTrainer._compute_loss` on the setting's batch.

    Keys of the case that are not options of TRL: `on_policy` (no old log-probabilities),
    `per_token` (advantages by token), `correction` ((mode, cap), TRL's vLLM correction).
    """
    case = dict(case)
    on_policy, per_token = case.pop("on_policy", False), case.pop("per_token", False)
    correction = case.pop("correction", None)
    split = case.pop("split", None)
    rows = len(setting.PROMPTS)
    model = setting.build()
    trainer = group_trainer(model, case, lambda completions, **_: [0.0] * len(completions), rows)
    model = trainer.model
    # Without dropout the modes agree; TRL's divisors differ between them.
    model.train()
    trainer.current_gradient_accumulation_steps = 1 if split is None else len(split)
    trainer.args.steps_per_generation = trainer.current_gradient_accumulation_steps
    prompts, prompt_mask = padded(setting.PROMPTS, left=True)
    completions, mask = padded(setting.COMPLETIONS)
    own = score(trainer, model, prompts, prompt_mask, completions, mask)
    near = setting.policy_inputs()
    inputs = {
        "prompt_ids": prompts,
        "prompt_mask": prompt_mask,
        "completion_ids": completions,
        "completion_mask": mask,
        "advantages": near["advantages"] if per_token else torch.tensor(setting.ADVANTAGES),
        "ref_per_token_logps": own + near["reference"],
    }
    if case.get("trainer") == "RLOO":
        inputs["old_logps"] = (own * mask).sum(-1)
    old = own if on_policy else own + near["old"]
    inputs["old_per_token_logps"] = old
    if correction is not None:
        inputs["importance_sampling_ratio"] = weights(correction, near["engine"], mask)
        trainer.use_vllm = trainer.vllm_importance_sampling_correction = True
    parts = [list(range(rows))] if split is None else split
    losses = []
    for part in parts:
        piece = {name: values[part] for name, values in inputs.items()}
        losses.append(trainer._compute_loss(model, piece | {"num_items_in_batch": mask.sum()}))
    return outcome(model, torch.stack(losses).sum()) | {
        "logprobs": [[round(x, 7) for x in row] for row in (own * mask).tolist()]
    }


def weights(correction: tuple[str, float], gap: Tensor, mask: Tensor) -> Tensor:
    """The importance ratio as lines 2660-2703 of TRL 1.16's grpo_trainer.py compute it.

    They stand in the method that samples from vLLM, which cannot be called by itself.
    `gap` is log π_old − log π_engine.
    """
    mode, cap = correction
    gap = gap * mask
    if mode.startswith("sequence"):
        gap = gap.sum(-1, keepdim=True)
    ratio = gap.exp()
    return ratio.clamp(max=cap) if mode.endswith("truncate") else ratio.masked_fill(ratio > cap, 0)


def score(trainer: Any, model: Any, prompts: Any, prompt_mask: Any, ids: Any, mask: Any) -> Tensor:
    with torch.no_grad():
        logps, _, _ = trainer._get_per_token_logps_and_entropies(
            model,
            torch.cat([prompts, ids], 1),
            torch.cat([prompt_mask, mask], 1),
            ids.shape[1],
            compute_entropy=True,
        )
    return logps


def advantages(case: Case) -> list[float]:
    """What TRL makes of the setting's rewards, by its own sampling step."""
    flat = [r for group in setting.REWARDS for r in group]
    size = len(setting.REWARDS[0])
    model = setting.build()
    case = {"num_generations": size, "beta": 0.0} | case
    trainer = group_trainer(model, case, lambda completions, **_: flat, len(flat))
    inputs = [
        {"prompt": words(setting.PROMPTS[g])}
        for g in range(len(setting.REWARDS))
        for _ in range(size)
    ]
    return trainer._generate_and_score_completions(inputs)["advantages"].tolist()


def preference_case(case: Case) -> dict[str, Any]:
    """The loss of TRL's DPO trainer on the setting's pairs, against another model."""
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    model, reference = setting.build(), setting.build(0.3)
    rows = [
        {
            "prompt": words(setting.PROMPTS[w]),
            "chosen": words(setting.COMPLETIONS[w]),
            "rejected": words(setting.COMPLETIONS[x]),
        }
        for w, x in setting.PAIRS
    ]
    trainer = DPOTrainer(
        model=model,
        ref_model=reference,
        args=DPOConfig(**arguments(max_length=None, **case)),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer(),
    )
    whole = [setting.PROMPTS[w] + setting.COMPLETIONS[w] for w, _ in setting.PAIRS]
    whole += [setting.PROMPTS[w] + setting.COMPLETIONS[x] for w, x in setting.PAIRS]
    heads = [len(setting.PROMPTS[w]) for w, _ in setting.PAIRS] * 2
    inputs = marked(whole, heads)
    return outcome(trainer.model, trainer.compute_loss(trainer.model, inputs))


def marked(rows: list[list[int]], heads: list[int]) -> dict[str, Tensor]:
    """Ids, attention and completion masks of rows whose first `heads` tokens are the prompt."""
    ids, mask = padded(rows)
    places = torch.arange(ids.shape[1])
    completion = mask * (places >= torch.tensor(heads)[:, None])
    return {"input_ids": ids, "attention_mask": mask, "completion_mask": completion}


def kto_case(case: Case) -> dict[str, Any]:
    """The loss of TRL's KTO trainer; row i's mismatched completion is row i − 1's."""
    from datasets import Dataset
    from trl import KTOConfig, KTOTrainer

    case = dict(case)
    model, reference = setting.build(), setting.build(case.pop("shift", 0.3))
    count = len(setting.PROMPTS)
    rows = [
        {
            "prompt": words(setting.PROMPTS[i]),
            "completion": words(setting.COMPLETIONS[i]),
            "label": setting.LABELS[i],
        }
        for i in range(count)
    ]
    trainer = KTOTrainer(
        model=model,
        ref_model=reference,
        args=KTOConfig(**arguments(max_length=None, per_device_train_batch_size=count, **case)),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer(),
    )
    heads = [len(p) for p in setting.PROMPTS]
    own = marked([p + c for p, c in zip(setting.PROMPTS, setting.COMPLETIONS, strict=True)], heads)
    other = marked([setting.PROMPTS[i] + setting.COMPLETIONS[i - 1] for i in range(count)], heads)
    inputs = own | {f"KL_{name}": values for name, values in other.items()}
    inputs["label"] = torch.tensor(setting.LABELS)
    result = outcome(trainer.model, trainer.compute_loss(trainer.model, inputs))
    return result | {"kl": trainer._metrics["train"]["kl"][-1]}


def orpo_case(case: Case) -> dict[str, Any]:
    """The loss of TRL's (experimental) ORPO trainer; its likelihood term counts prompts too."""
    from datasets import Dataset
    from trl.experimental.orpo import ORPOConfig, ORPOTrainer

    rows = [
        {
            "prompt": words(setting.PROMPTS[w]),
            "chosen": words(setting.COMPLETIONS[w]),
            "rejected": words(setting.COMPLETIONS[x]),
        }
        for w, x in setting.PAIRS
    ]
    trainer = ORPOTrainer(
        model=setting.build(),
        args=ORPOConfig(**arguments(max_length=64, **case)),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer(),
    )
    batch: dict[str, Tensor] = {}
    for side, column in (("chosen", 0), ("rejected", 1)):
        whole = [setting.PROMPTS[p[0]] + setting.COMPLETIONS[p[column]] for p in setting.PAIRS]
        made = marked(whole, [len(setting.PROMPTS[w]) for w, _ in setting.PAIRS])
        batch[f"{side}_input_ids"] = made["input_ids"]
        batch[f"{side}_attention_mask"] = made["attention_mask"]
        batch[f"{side}_labels"] = made["input_ids"].masked_fill(made["completion_mask"] == 0, -100)
    loss, _ = trainer.get_batch_loss_metrics(trainer.model, batch)
    return outcome(trainer.model, loss)


POLICY: dict[str, Case] = {
    "grpo": {"loss_type": "grpo", "beta": 0.04, "use_bias_correction_kl": False},
    "grpo_unbiased_kl": {"loss_type": "grpo", "beta": 0.04},
    "grpo_on_policy": {"loss_type": "grpo", "beta": 0.0, "on_policy": True},
    "grpo_split": {
        "loss_type": "grpo",
        "beta": 0.04,
        "use_bias_correction_kl": False,
        "split": [[0, 1, 2], [3, 4, 5]],
    },
    "grpo_per_token": {"loss_type": "grpo", "beta": 0.0, "per_token": True},
    "grpo_temperature": {"loss_type": "grpo", "beta": 0.0, "temperature": 0.7},
    "dr_grpo": {"loss_type": "dr_grpo", "beta": 0.0},
    "dapo": {"loss_type": "dapo", "beta": 0.0, "epsilon": 0.2, "epsilon_high": 0.28},
    "dapo_split": {
        "loss_type": "dapo",
        "beta": 0.0,
        "epsilon": 0.2,
        "epsilon_high": 0.28,
        "split": [[0, 1, 2], [3, 4, 5]],
    },
    "gspo": {
        "loss_type": "grpo",
        "importance_sampling_level": "sequence",
        "beta": 0.0,
        "epsilon": 3e-4,
        "epsilon_high": 4e-4,
    },
    "gspo_wide": {
        "loss_type": "grpo",
        "importance_sampling_level": "sequence",
        "beta": 0.02,
        "epsilon": 0.1,
        "epsilon_high": 0.1,
    },
    "cispo": {"loss_type": "cispo", "beta": 0.0, "epsilon_high": 5.0},
    "cispo_capped": {"loss_type": "cispo", "beta": 0.0, "epsilon_high": 1.2},
    "two_sided": {"loss_type": "dapo", "beta": 0.0, "delta": 1.3},
    "truncated": {"loss_type": "dapo", "beta": 0.04, "correction": ("token_truncate", 2.0)},
    "masked": {"loss_type": "dapo", "beta": 0.0, "correction": ("token_mask", 1.5)},
    "sequence_truncated": {
        "loss_type": "grpo",
        "beta": 0.0,
        "correction": ("sequence_truncate", 1.5),
    },
    "sequence_masked": {"loss_type": "grpo", "beta": 0.0, "correction": ("sequence_mask", 3.0)},
    "rloo_gradient": {"trainer": "RLOO", "beta": 0.0},
}
ADVANTAGES: dict[str, Case] = {
    "std": {"scale_rewards": "group"},
    "mean": {"scale_rewards": "none"},
    "rloo": {"trainer": "RLOO"},
}
PREFERENCES: dict[str, tuple[Callable[[Case], dict[str, Any]], Case]] = {
    "dpo": (preference_case, {"loss_type": "sigmoid", "beta": 0.3}),
    "ipo": (preference_case, {"loss_type": "ipo", "beta": 0.3}),
    "kto": (kto_case, {"beta": 0.3, "desirable_weight": 1.1, "undesirable_weight": 0.9}),
    "kto_far": (kto_case, {"beta": 0.3, "shift": -0.3}),
    "orpo": (orpo_case, {"beta": 0.1}),
}


def compute() -> dict[str, Any]:
    """Everything, as the JSON holds it."""
    import trl

    torch.set_num_threads(1)
    return {
        "trl": trl.__version__,
        "policy": {name: policy_case(case) for name, case in POLICY.items()},
        "advantages": {name: advantages(case) for name, case in ADVANTAGES.items()},
        "preferences": {name: run(case) for name, (run, case) in PREFERENCES.items()},
    }
