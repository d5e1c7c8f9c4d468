"""Reads from the engine's flags what planning memory depends on."""

from collections.abc import Mapping

from profiles.memory import EngineOptions, LoraOptions
from profiles.number import whole_number
from profiles.profile import Profile

UTILIZATION = "--gpu-memory-utilization"
MAX_NUM_SEQS = "--max-num-seqs"
MAX_MODEL_LEN = "--max-model-len"
# vLLM 0.32's defaults (config/cache.py, config/lora.py).
DEFAULT_UTILIZATION = 0.92
# What vLLM's parser knows by a letter or two.
_SHORT = {"-q": "--quantization", "-dp": "--data-parallel-size"}
_LORA_RANK = 16
_LORA_SLOTS = 1


def spelled(arguments: Mapping[str, str]) -> dict[str, str]:
    """The flags with hyphens, as vLLM's parser reads both spellings."""
    long = {_SHORT.get(flag, flag): value for flag, value in arguments.items()}
    return {flag.replace("_", "-"): value for flag, value in long.items()}


def number(arguments: Mapping[str, str], flag: str) -> int | None:
    """A flag's number; what is none is the engine's parser's to refuse."""
    return whole_number(arguments.get(flag, ""))


def replicas(arguments: Mapping[str, str]) -> int:
    """How many engines share the work, each on GPUs of its own (data parallelism)."""
    return number(arguments, "--data-parallel-size") or 1


def utilization(arguments: Mapping[str, str]) -> float:
    """The share of a GPU that the engine may take."""
    try:
        share = float(arguments[UTILIZATION])
    except (KeyError, ValueError):
        return DEFAULT_UTILIZATION
    # A wrong value is the engine's parser's to refuse.
    return share if 0 < share <= 1 else DEFAULT_UTILIZATION


def options(
    profile: Profile,
    arguments: Mapping[str, str],
    *,
    gpu_memory_bytes: int,
    compute_capability: tuple[int, int],
    max_model_len: int | None,
) -> EngineOptions:
    """What the memory estimate needs; `arguments` are the profile's and everybody's above it."""
    lora = LoraOptions(
        max_rank=number(arguments, "--max-lora-rank") or _LORA_RANK,
        slots=number(arguments, "--max-loras") or _LORA_SLOTS,
    )
    # Weights of its own are of the profile's precision, whatever the described ones are.
    own = profile.precision if profile.weights else None
    return EngineOptions(
        gpu_memory_bytes=gpu_memory_bytes,
        tensor_parallel_size=profile.tp,
        pipeline_parallel_size=profile.pp,
        gpu_memory_utilization=utilization(arguments),
        max_model_len=max_model_len or number(arguments, MAX_MODEL_LEN),
        max_num_seqs=number(arguments, MAX_NUM_SEQS),
        max_num_batched_tokens=number(arguments, "--max-num-batched-tokens"),
        kv_cache_dtype=arguments.get("--kv-cache-dtype", "auto"),
        quantization=arguments.get("--quantization") or own,
        enforce_eager="--enforce-eager" in arguments,
        lora=lora if profile.lora else None,
        compute_capability=compute_capability,
    )
