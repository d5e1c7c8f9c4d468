"""The limits of a run: what was measured against what was asked for."""

from collections.abc import Mapping

SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
TIMED = ("ttft", "itl", "latency")
FIGURES = (
    "failure_ratio",
    "requests_per_s",
    "tokens_per_s",
    *(f"{what}_{share}_ms" for what in TIMED for share in SHARES),
)
"""What can be limited; latency is to the end of an answer."""


def broken(limits: Mapping[str, float], figures: Mapping[str, float]) -> list[str]:
    """A sentence for each limit that does not hold; what was not measured holds none."""
    sentences = []
    for name, limit in limits.items():
        bound, figure = name.split("_", 1)
        found = figures.get(figure)
        if found is None:
            sentences.append(f"{figure} was not measured; {name} is {limit:g}")
        elif found > limit if bound == "max" else found < limit:
            sentences.append(f"{figure} is {found:.4g}; {name} is {limit:g}")
    return sentences
