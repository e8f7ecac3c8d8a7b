"""What searches cost."""

from __future__ import annotations

from reasonbench.costs import Measured, Pricing, costs
from reasonbench.metrics.types import ProblemPool
from reasonbench.runs.stored import StoredSearch
from reasonbench.types import ModelInfo, Usage


def test_tokens_past_the_end_of_a_step_are_no_part_of_the_tree() -> None:
    """A server under load tells of many tokens at once, and a pattern ends a step among them."""
    search = StoredSearch("finished", 100.0, written=100, usage=Usage(decode_tokens=120))
    one = Measured(
        pool=ProblemPool("p", (True,), (0,)),
        tokens=(30,),
        prompt_tokens=20,
        samples=1,
        truncated=0,
        no_answer=0,
        ungraded=0,
        unscored=0,
        completed=1,
        completed_right=1,
        search=search,
    )
    model = ModelInfo("m", "toy", "0", active_parameters=10, layers=1, hidden_size=1)
    found = costs(1, [one], model, Pricing(), None)
    assert found["policy_tokens"] == 100
    assert found["prompt_tokens"] == 0
    assert found["flops"] is not None
    assert found["flops"] > 0
