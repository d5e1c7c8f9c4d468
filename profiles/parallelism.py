"""Over how many GPUs a model can be split."""

from collections.abc import Iterator, Mapping
from typing import Any

from profiles.hardware import Hardware
from profiles.memory import ModelFacts

_USUAL = (1, 2, 4, 8)
_SIZES = ("intermediate_size", "moe_intermediate_size")


def gpu_counts(hardware: Hardware) -> tuple[int, ...]:
    """The numbers of GPUs that profiles are made for: the usual ones, and all that are here."""
    here = len(hardware.gpus)
    powers = [1 << exponent for exponent in range(here.bit_length()) if 1 << exponent <= here]
    return tuple(sorted({*_USUAL, *powers, *([here] if here else [])}))


def cannot_split(model: ModelFacts, *, tp: int, pp: int) -> str | None:
    """Why the engine would refuse this split, as a sentence, or None.

    vLLM 0.32 asserts that TP divides the attention heads (config/model.py, verify_with_parallel_
    config), and its models that TP divides the KV heads or is a multiple of them (then they are
    copied). A stage of the pipeline needs a layer.
    """
    heads, kv_heads = model.num_attention_heads, model.num_key_value_heads
    if heads % tp:
        return f"{heads} attention heads cannot be split over {tp} GPUs"
    if kv_heads and kv_heads % tp and tp % kv_heads:
        return f"{kv_heads} key-value heads cannot be split over {tp} GPUs, nor copied evenly"
    if pp > model.num_hidden_layers:
        return f"{model.num_hidden_layers} layers cannot make {pp} stages of a pipeline"
    return None


def splits_blocks(config: Mapping[str, Any] | None, *, tp: int) -> str | None:
    """Why a quantized checkpoint cannot be split so, as a sentence, or None.

    Weights that share a scale have to stay together: vLLM 0.32 refuses to split a block of 128
    (Qwen3-30B-A3B-FP8 at TP 8: experts of 768), and a group of AWQ or GPTQ likewise.
    """
    if config is None or tp == 1:
        return None
    text = config.get("text_config")
    sizes = text if isinstance(text, dict) else config
    for block in _blocks(config.get("quantization_config")):
        for key in _SIZES:
            size = sizes.get(key)
            if isinstance(size, int) and size and size % (tp * block):
                return f"{key} {size} in blocks of {block} cannot be split over {tp} GPUs"
    return None


def _blocks(quantization: object) -> Iterator[int]:
    """How many weights share a scale, wherever the quantization's config says so."""
    if not isinstance(quantization, dict):
        return
    for key, value in quantization.items():
        if key in ("weight_block_size", "block_structure") and isinstance(value, list):
            yield from (size for size in value[:1] if isinstance(size, int) and size > 0)
        elif key in ("group_size", "q_group_size") and isinstance(value, int) and value > 0:
            yield value
        elif isinstance(value, dict):  # compressed-tensors: config_groups.group_0.weights
            yield from _blocks(value)
