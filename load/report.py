"""What a run has found: medians, spread and ratios to `vllm serve`, as JSON and as tables."""

import json
import statistics
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

BASELINE = "vllm serve"
FIGURES = {
    "cpu_us_per_token": "CPU µs/token",
    "cpu_us_per_request": "CPU µs/request",
    "engine_cpu_us_per_token": "engine's CPU µs/token",
    "others_cores": "others' CPU, cores",
    "tokens_per_s": "tokens/s",
    "requests_per_s": "requests/s",
    "ttft_p50_ms": "TTFT p50 ms",
    "ttft_p99_ms": "TTFT p99 ms",
    "itl_p50_ms": "ITL p50 ms",
    "itl_p99_ms": "ITL p99 ms",
    "latency_p50_ms": "latency p50 ms",
    "latency_p99_ms": "latency p99 ms",
    "health_p50_ms": "health p50 ms",
    "health_p99_ms": "health p99 ms",
    "health_max_ms": "health max ms",
    "live_s": "start to live s",
    "ready_s": "start to ready s",
    "rss_mib": "RSS MiB",
    "pss_mib": "PSS MiB",
    "pss_with_engine_mib": "PSS with engine MiB",
}
"""Each figure and what it is called, in the order of the tables."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One contestant in one case of one round, by the names of `FIGURES`."""

    contestant: str
    case: str
    round: int
    figures: dict[str, float]


@dataclass(frozen=True, slots=True)
class Failure:
    """What could not be measured, and why."""

    contestant: str
    case: str
    round: int
    why: str


@dataclass(slots=True)
class Run:
    """All that was found under the same circumstances."""

    circumstances: dict[str, Any]
    samples: list[Sample] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    processes: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    """Of each contestant: which were counted as the front end, and which as the engine."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure over the rounds; `ratio` is the median of its ratios to the baseline's of the same
    round, where there are any: rounds differ more than contestants of a round.
    """

    median: float
    low: float
    high: float
    ratio: float | None = None


Table = dict[str, dict[str, dict[str, Measured]]]
"""Case → contestant → figure."""


def tabulate(samples: list[Sample]) -> Table:
    """Medians over the rounds, of figures and of ratios."""
    values: dict[tuple[str, str, str], dict[int, float]] = defaultdict(dict)
    for sample in samples:
        for figure in FIGURES:
            if figure in sample.figures:
                by_round = values[sample.case, sample.contestant, figure]
                by_round[sample.round] = sample.figures[figure]
    table: Table = {}
    for (case, contestant, figure), found in values.items():
        base = values.get((case, BASELINE, figure), {})
        ratios = [value / base[number] for number, value in found.items() if base.get(number)]
        ratio = statistics.median(ratios) if ratios else None
        row = table.setdefault(case, {}).setdefault(contestant, {})
        low, high = min(found.values()), max(found.values())
        row[figure] = Measured(statistics.median(found.values()), low, high, ratio)
    return table


def write(run: Run, table: Table, out: Path) -> None:
    """Write bench.json and bench.md into `out`."""
    out.mkdir(parents=True, exist_ok=True)
    cases = {
        case: {
            contestant: {figure: asdict(measured) for figure, measured in figures.items()}
            for contestant, figures in row.items()
        }
        for case, row in table.items()
    }
    content = {
        "circumstances": run.circumstances,
        "cases": cases,
        "samples": [asdict(sample) for sample in run.samples],
        "failures": [asdict(failure) for failure in run.failures],
        "processes": run.processes,
    }
    (out / "bench.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    (out / "bench.md").write_text(markdown(run, table))


def markdown(run: Run, table: Table) -> str:
    """A table for each case, with a column for each contestant, then what failed."""
    lines = [", ".join(f"{name} {value}" for name, value in run.circumstances.items()) + ".", ""]
    lines += [
        "Medians of the rounds, lowest to highest in brackets,",
        f"× is the median of the ratios to {BASELINE} in the same round.",
        "CPU and memory are those of the front end's processes, without the engine's.",
    ]
    for case, row in table.items():
        lines += ["", f"| {case} | " + " | ".join(row) + " |", "| --- |" + " --: |" * len(row)]
        for figure, title in FIGURES.items():
            if any(figure in figures for figures in row.values()):
                cells = [_cell(figures.get(figure)) for figures in row.values()]
                lines.append(f"| {title} | " + " | ".join(cells) + " |")
    if run.failures:
        lines += ["", "Not measured:", ""]
    for failure in run.failures:
        why = " ".join(failure.why.split())
        lines.append(f"- {failure.contestant}, {failure.case}, round {failure.round}: {why}")
    return "\n".join(lines) + "\n"


def _cell(measured: Measured | None) -> str:
    if measured is None:
        return ""
    text = _number(measured.median)
    if measured.ratio is not None:
        text += f" ×{measured.ratio:.2f}"
    if measured.low != measured.high:
        text += f" [{_number(measured.low)}–{_number(measured.high)}]"
    return text


_WHOLE = 100


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= _WHOLE else f"{value:.3g}"
