"""A report made by hand: every part of it, with names that nobody should trust."""

from __future__ import annotations

from dataclasses import replace

from reasonbench.reports.chart_data import (
    Accuracy,
    Calibration,
    CalibrationBin,
    CapCurve,
    CapPoint,
    ComputeBoard,
    ComputePoint,
    Curve,
    CurvePoint,
    LengthBin,
    Lengths,
    LengthSummary,
    SolveRate,
    SolveRates,
)
from reasonbench.reports.data import (
    Entry,
    GroupAccuracy,
    Mixed,
    Protocol,
    Ranking,
    RankRange,
    Reference,
    Report,
    RunStack,
)

EVIL = (
    "<script>window.broken=1</script></script><!--\u202eevil\u2066\x1b[31mred\x1b[0m\u2028"
    "<img src=http://example.org/x onerror=window.broken=1>&\"'{{7*7}}\\"
)
LONG = "x" * 1_000_000

RUN, BENCHMARK = "run", "sums"
DRAWN = ("cot@8", "maj@8", "wbon@8:scorer=reward", "oracle@8")


def accuracy(value: float) -> Accuracy:
    """With an interval of a tenth."""
    return Accuracy(value, max(0.0, value - 0.05), min(1.0, value + 0.05), "cluster-t")


def entry(number: int, strategy: str, value: float | None, **changes: object) -> Entry:
    """A row of the leaderboard."""
    name = strategy.split("@")[0]
    made = Entry(
        id=f"e{number}", run=RUN, model="toy", benchmark=BENCHMARK, strategy=strategy, name=name,
        metric=f"{name}@8", ceiling=name == "oracle", selector=name, reward=None, n=8, k=8,
        weight_version=0, step=None, accuracy=None if value is None else accuracy(value),
        bounds=None if value is None else (value, value), mc_stderr=0.0,
        rank=None if name == "oracle" else RankRange(1, 3), ranking=0, problems=50, dropped=0,
        capped=0, truncated=0.01 * number, no_answer=0.02, ungraded=0.0, unscored=0.0,
        completed_accuracy=0.6, mixed=Mixed(0.01, 400, 400), decode_tokens=100.0 * number + 10,
        prompt_tokens=20.0, reward_tokens=0.0, policy_tokens=120.0, tokens_mean=30.0,
        tokens_p50=28.0, tokens_p95=60.0, flops=8.2e9, seconds=0.5, dollars=None, complete=True,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def report(name: str = "", evil: bool = False) -> Report:
    """A report of one run with every chart; `evil` names say EVIL, and one is LONG."""
    say = EVIL if evil else name
    model, benchmark, level = f"toy{say}", f"{BENCHMARK}{say}", f"1{say}"
    strategies = (*DRAWN[:3], f"oracle@8{say}") if evil else DRAWN
    where = {"run": RUN, "model": model, "benchmark": benchmark}
    pool = {**where, "pool": "drawn", "strategies": strategies}
    values = (0.4, 0.5, 0.6, 0.8)
    entries = [
        entry(i, s, v, model=model, benchmark=benchmark)
        for i, (s, v) in enumerate(zip(strategies, values, strict=True))
    ]
    if evil:
        entries[0] = replace(entries[0], model=LONG, reward=EVIL)
    points = [CurvePoint(k, accuracy(0.4 + k / 40), 0.0, 20.0 * k) for k in (1, 2, 4, 8)]
    return Report(
        runs=(
            RunStack(
                RUN, "2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00", 0, True,
                {"model": model, "parameters": 900}, None, {"python": "3.11", "packages": {}},
                {"requests": 400}, {"model": [model], "gpus": 2}, 400,
            ),
        ),
        benchmarks=(benchmark,),
        entries=tuple(reversed(entries)),
        rankings=(Ranking(benchmark, ("e2", "e1", "e0"), 50, f"note {say}"),),
        compute=(
            ComputeBoard(
                model, benchmark, (RUN,), 50,
                tuple(
                    ComputePoint(
                        RUN, s.replace("@8", ""), s, 8, 100.0 * (i + 1), accuracy(v), i < 2,
                        i == 3, "frontier" if i < 2 else "tie", None, None, None, 0.0,
                    )
                    for i, (s, v) in enumerate(zip(strategies, values, strict=True))
                ),
                True, (),
            ),
        ),
        curves=(
            Curve(**where, series="cot", metric="pass@k", kind="answer", points=(points[0],)),
            Curve(**where, series="maj", metric="maj@k", kind="answer", points=tuple(points)),
            Curve(**where, series="cot", metric="pass^k", kind="reliability",
                  points=tuple(points[1:])),
        ),
        groups=tuple(
            GroupAccuracy(e.id, by, f"{level}{i}", accuracy(0.5), 25, 0.0, 0.0, 0.0)
            for e in entries
            for by in ("level", "subject")
            for i in (1, 10, 2)
        ),
        caps=(CapCurve(**pool, samples=400, points=tuple(
            CapPoint(cap, accuracy(cap / 100), 1 - cap / 100) for cap in (10, 20, 50, 100))),),
        lengths=(
            Lengths(**pool, bins=(LengthBin(4, 8, 3, 9, 0, 1), LengthBin(8, 16, 5, 2, 4, 0)),
                    right=LengthSummary(8, 9.0, 5.0, 9.0, 12.0), wrong=None, truncated=None),
        ),
        solve_rates=(
            SolveRates(**pool, problems=tuple(
                SolveRate(f"p{i}{say}", str(i % 3), None, i, 8, 8, 0) for i in range(9))),
        ),
        calibrations=(
            Calibration(**where, scorer=f"prm{say}", strategy=DRAWN[2], bins=tuple(
                CalibrationBin(b, b + 0.5, b + 0.25, accuracy(b + 0.2), 40) for b in (0.0, 0.5)),
                ece=0.05, auc=0.9, scored=80, unscored=0),
        ),
        protocols=(
            Protocol(RUN, benchmark, "builtin", "generated", None, 50,
                     dict.fromkeys(strategies, "drawn"), {"drawn": {"temperature": 1.0, "n": 8}},
                     None, None, (f"temperature 1 {say}",), (f"note of the protocol {say}",)),
        ),
        references=(
            Reference("big", BENCHMARK, "pass@1", 0.9, f"a paper {say}", "javascript:alert(1)",
                      "", True),
        ),
        notes=(f"to be known {say}",),
    )  # fmt: skip
