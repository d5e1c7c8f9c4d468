"""Mistral's own config, params.json, in the words of a config.json.

After vLLM 0.32, transformers_utils/configs/mistral.py: it serves repositories that have only that.
"""

from collections.abc import Mapping
from typing import Any

_WORDS = {
    "dim": "hidden_size",
    "hidden_dim": "intermediate_size",
    "n_layers": "num_hidden_layers",
    "n_heads": "num_attention_heads",
    "n_kv_heads": "num_key_value_heads",
    "tied_embeddings": "tie_word_embeddings",
    # of "moe"
    "num_experts": "n_routed_experts",
    "expert_hidden_dim": "moe_intermediate_size",
    "num_shared_experts": "n_shared_experts",
    "route_every_n": "moe_layer_freq",
}
_LONGEST = 128_000  # vLLM's, where the file names no length


def in_usual_words(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same config as a config.json would have it; any other config as it is."""
    if "dim" not in config or "n_layers" not in config:
        return config
    named = _renamed(config) | _renamed(_mapping(config.get("moe")))
    named.setdefault(
        "architectures", ["MixtralForCausalLM" if "moe" in config else "MistralForCausalLM"]
    )
    named.setdefault("max_position_embeddings", config.get("max_seq_len") or _LONGEST)
    vision = _mapping(config.get("vision_encoder"))
    if vision:
        named |= {"architectures": ["PixtralForConditionalGeneration"], "model_type": "pixtral"}
        named["vision_config"] = {"model_type": "pixtral", **vision}
    quantization = _mapping(config.get("quantization"))
    if quantization:
        named["quantization_config"] = {"quant_method": "fp8", **quantization}
    return named


def _renamed(section: Mapping[str, Any]) -> dict[str, Any]:
    return {_WORDS.get(name, name): value for name, value in section.items()}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
