"""`unigate profiles estimate`: the memory a model will need, with neither weights nor a GPU."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from app.verbs.context import VerbError, parser
from profiles.memory import (
    EngineOptions,
    Estimate,
    LoraOptions,
    ModelFacts,
    read_model,
    read_model_directory,
)
from profiles.memory import estimate as estimate_memory
from profiles.number import whole_number
from profiles.parallelism import cannot_split

_GIB = 1 << 30
_LARGEST_GIB = 1 << 20


def estimate(program: str, words: list[str]) -> None:
    """Print the estimate for one model and one set of engine options."""
    options = _parser(program).parse_args(words)
    model = _model(options)
    lora = LoraOptions(max_rank=options.max_lora_rank, slots=options.max_loras)
    result = estimate_memory(
        model,
        EngineOptions(
            gpu_memory_bytes=round(options.gpu_memory_gib * _GIB),
            tensor_parallel_size=options.tensor_parallel_size,
            pipeline_parallel_size=options.pipeline_parallel_size,
            gpu_memory_utilization=options.gpu_memory_utilization,
            max_model_len=options.max_model_len,
            max_num_seqs=options.max_num_seqs,
            max_num_batched_tokens=options.max_num_batched_tokens,
            kv_cache_dtype=options.kv_cache_dtype,
            quantization=options.quantization,
            enforce_eager=options.enforce_eager,
            lora=lora if options.enable_lora else None,
        ),
    )
    answer = _answer(model, result)
    tp, pp = options.tensor_parallel_size, options.pipeline_parallel_size
    if problem := cannot_split(model, tp=tp, pp=pp):
        answer["doubts"].append(f"vLLM refuses this split: {problem}")
    if options.json:
        sys.stdout.write(json.dumps(answer, indent=2) + "\n")
    else:
        sys.stdout.write(_text(answer))


def _parser(program: str) -> argparse.ArgumentParser:
    reader = parser(program, "Estimate the memory that vLLM will need, per GPU, before it starts.")
    source = reader.add_mutually_exclusive_group(required=True)
    source.add_argument("--config", type=Path, metavar="FILE", help="a model's config.json")
    source.add_argument("--model", type=Path, metavar="DIR", help="a model's directory")
    reader.add_argument(
        "--gpu-memory-gib",
        type=_memory,
        required=True,
        help="total memory of one GPU, as CUDA shows it",
    )
    reader.add_argument("--tensor-parallel-size", "-tp", type=_count, default=1)
    reader.add_argument("--pipeline-parallel-size", "-pp", type=_count, default=1)
    reader.add_argument("--gpu-memory-utilization", type=_share, default=0.92)
    reader.add_argument("--parameters", type=_parameters, help="a published count, such as 8.03e9")
    reader.add_argument("--max-model-len", type=_count)
    reader.add_argument("--max-num-seqs", type=_count)
    reader.add_argument("--max-num-batched-tokens", type=_count)
    reader.add_argument("--kv-cache-dtype", default="auto")
    reader.add_argument("--quantization", help="what the config does not say, such as awq or fp8")
    reader.add_argument("--enforce-eager", action="store_true")
    reader.add_argument("--enable-lora", action="store_true")
    reader.add_argument("--max-lora-rank", type=_count, default=16)
    reader.add_argument("--max-loras", type=_count, default=1)
    reader.add_argument("--json", action="store_true", help="for programs")
    return reader


def _count(text: str) -> int:
    value = whole_number(text)
    if value is None or value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1 on")
    return value


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a size")
    return value


def _memory(text: str) -> float:
    value = _positive(text)
    if not 1 / 1024 <= value <= _LARGEST_GIB:
        raise argparse.ArgumentTypeError(f"{text} GiB is no GPU's memory")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def _parameters(text: str) -> int:
    """A count, also as `8.03e9` or `8B`."""
    factors = {"K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}
    factor = factors.get(text[-1:].upper(), 1)
    return round(_positive(text[:-1] if factor > 1 else text) * factor)


def _model(options: argparse.Namespace) -> ModelFacts:
    if options.model is not None:
        return read_model_directory(options.model)
    try:
        config = json.loads(options.config.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise VerbError(f"{options.config} cannot be read: {error}") from None
    if not isinstance(config, dict):
        raise VerbError(f"{options.config} is not a JSON object")
    return read_model(config, parameters=options.parameters)


def _answer(model: ModelFacts, result: Estimate) -> dict[str, Any]:
    return {
        "architecture": model.architecture,
        "parameters": model.parameters,
        "precision": model.precision,
        "weights_gib_per_gpu": _gib(result.weights_bytes),
        "kv_cache_gib_per_gpu": _gib(result.kv_cache_bytes),
        "kv_cache_gib_per_gpu_warm": _gib(result.kv_cache_bytes_warm),
        "kv_bytes_per_token_per_gpu": result.kv_bytes_per_token,
        "kv_cache_tokens": result.kv_cache_tokens,
        "overhead_gib_per_gpu": _gib(result.overhead_bytes),
        "max_model_len": result.max_model_len,
        "longest_model_len": result.longest_model_len,
        "fits": result.fits.value,
        "required_gib_per_gpu": _gib(result.required_bytes),
        "terms_gib": {name: _gib(value) for name, value in result.terms.items()},
        "doubts": list(model.doubts),
    }


def _gib(size_bytes: int) -> float:
    return round(size_bytes / _GIB, 4)


def _text(answer: dict[str, Any]) -> str:
    terms = answer.pop("terms_gib")
    doubts = answer.pop("doubts")
    rows = [*answer.items(), *((f"  {name} (GiB)", value) for name, value in terms.items())]
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:<{width}}  {value}" for name, value in rows]
    lines += [f"doubt: {doubt}" for doubt in doubts]
    return "\n".join(lines) + "\n"
