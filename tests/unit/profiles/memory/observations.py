"""Public measurements of vLLM's start-up memory, and what our estimate says about each of them.

`python -m tests.unit.profiles.memory.observations` prints the table.
"""

import csv
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from profiles.memory import EngineOptions, Estimate, LoraOptions, estimate, read_model

GIB = 1 << 30
_DATA = Path(__file__).parents[3] / "data" / "vllm_memory"
# Rows whose KV cache says nothing about an estimate, and why.
_UNUSABLE = {
    44: "sleep mode: non-torch memory came out negative, so the KV cache is over-sized",
    67: "the row's utilization cannot be the one it was run with (its notes say so)",
}
_ANY_GIB = 80.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One row; a figure that is not judged is None, and `reasons` says why."""

    row: int
    model: str
    version: str
    weights_error: float | None  # relative
    kv_error: float | None  # as a part of the budget
    token_error: float | None  # relative, of bytes per token
    reasons: tuple[str, ...]
    estimate: Estimate | None


@cache
def comparisons() -> tuple[Comparison, ...]:
    """Every row of the file."""
    with (_DATA / "vllm_memory_observations.csv").open(encoding="utf-8") as file:
        return tuple(_compare(row) for row in csv.DictReader(file))


@cache
def configs() -> Mapping[str, Mapping[str, Any]]:
    """The models' configs, as far as they are known."""
    text = (_DATA / "vllm_memory_models.json").read_text(encoding="utf-8")
    models: Mapping[str, Mapping[str, Any]] = json.loads(text)["models"]
    return models


def _compare(row: Mapping[str, str]) -> Comparison:
    number = int(row["row"])
    config = configs()[row["model_id"]]
    reasons: list[str] = []
    found = None
    if config.get("hidden_size"):
        found = estimate(read_model(config, parameters=config["total_params"]), _options(row))
    else:
        reasons.append("no config is known")
    weights = _number(row, "model_loading_gib") if found else None
    per_token = _number(row, "kv_bytes_per_token_gpu") if found else None
    has_draft = "draft" in row["kv_check"]
    if has_draft:
        reasons.append("tokens: a draft model has a cache of its own")
    budget = _budget(row, reasons) if found else None
    free = _number(row, "available_kv_gib")
    if found and free is None:
        reasons.append("KV: the log does not say how much there is")
    return Comparison(
        row=number,
        model=row["model_id"],
        version=row["vllm_version"],
        weights_error=found.weights_bytes / GIB / weights - 1 if found and weights else None,
        kv_error=(
            (found.kv_cache_bytes / GIB - free) / budget
            if found and budget and free is not None
            else None
        ),
        token_error=(
            found.kv_bytes_per_token / per_token - 1
            if found and per_token and not has_draft
            else None
        ),
        reasons=tuple(reasons),
        estimate=found,
    )


def _options(row: Mapping[str, str]) -> EngineOptions:
    adapters = re.search(r"max_loras (\d+), rank (\d+)", row["notes"])
    return EngineOptions(
        gpu_memory_bytes=int((_number(row, "gpu_memory_gib") or _ANY_GIB) * GIB),
        tensor_parallel_size=int(row["tensor_parallel"]),
        pipeline_parallel_size=int(row["pipeline_parallel"]),
        gpu_memory_utilization=_number(row, "gpu_memory_utilization") or 0.92,
        max_model_len=_count(row, "max_model_len"),
        max_num_seqs=_count(row, "max_num_seqs"),
        max_num_batched_tokens=_count(row, "max_num_batched_tokens"),
        kv_cache_dtype=row["kv_cache_dtype"] or "auto",
        quantization=row["quantization"] or None,
        enforce_eager=row["enforce_eager"] == "True",
        lora=(LoraOptions(slots=int(adapters[1]), max_rank=int(adapters[2])) if adapters else None),
        compute_capability=(8, 0) if row["gpu"].startswith("A100") else None,
    )


def _budget(row: Mapping[str, str], reasons: list[str]) -> float | None:
    """What vLLM had, where the row says enough to know it."""
    total, part = _number(row, "gpu_memory_gib"), _number(row, "gpu_memory_utilization")
    unusable = _UNUSABLE.get(int(row["row"]))
    if unusable:
        reasons.append(f"KV: {unusable}")
    elif total is None:
        reasons.append("KV: the GPU's memory is not known")
    elif part is None:
        reasons.append("KV: the utilization is not known")
    else:
        return total * part
    return None


def _number(row: Mapping[str, str], name: str) -> float | None:
    return float(row[name]) if row[name] else None


def _count(row: Mapping[str, str], name: str) -> int | None:
    return int(row[name]) if row[name] else None


def table() -> str:
    """All rows, for people."""
    lines = [
        f"{'row':>3} {'model':42} {'vLLM':10} {'weights':>8} {'KV':>7} {'B/token':>8}  reasons"
    ]
    lines += [
        f"{c.row:>3} {c.model[-42:]:42} {c.version[:10]:10} {_percent(c.weights_error):>8}"
        f" {_percent(c.kv_error):>7} {_percent(c.token_error):>8}  {'; '.join(c.reasons)}"
        for c in comparisons()
    ]
    return "\n".join(lines)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:+.1f}%"


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
