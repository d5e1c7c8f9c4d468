"""A picture of each figure that decides: bars for each case and contestant."""

from pathlib import Path

import matplotlib
from matplotlib import pyplot

from load.report import FIGURES, Table

_PICTURED = (
    "cpu_us_per_token",
    "cpu_us_per_request",
    "tokens_per_s",
    "requests_per_s",
    "ttft_p99_ms",
    "itl_p99_ms",
    "health_max_ms",
    "ready_s",
    "pss_mib",
)
_WIDTH = 0.8
"""Of the bars of a case, of 1."""


def draw(table: Table, out: Path) -> None:
    """Write FIGURE.png for each figure that was measured, into `out`."""
    matplotlib.use("Agg")
    for figure in _PICTURED:
        cases = [case for case in table if any(figure in row for row in table[case].values())]
        if cases:
            _draw(table, figure, cases, out / f"{figure}.png")


def _draw(table: Table, figure: str, cases: list[str], path: Path) -> None:
    contestants = list(dict.fromkeys(name for case in cases for name in table[case]))
    picture, axes = pyplot.subplots(figsize=(3 + 1.2 * len(cases), 4))
    width = _WIDTH / len(contestants)
    for number, contestant in enumerate(contestants):
        found = [
            (place, measured)
            for place, case in enumerate(cases)
            if (measured := table[case].get(contestant, {}).get(figure))
        ]
        axes.bar(
            [place - _WIDTH / 2 + (number + 0.5) * width for place, _ in found],
            [measured.median for _, measured in found],
            width,
            yerr=[
                [measured.median - measured.low for _, measured in found],
                [measured.high - measured.median for _, measured in found],
            ],
            capsize=3,
            label=contestant,
        )
    axes.set_xticks(range(len(cases)), cases, rotation=30)
    axes.set_title(FIGURES[figure])
    axes.legend()
    picture.tight_layout()
    picture.savefig(path, dpi=120)
    pyplot.close(picture)
