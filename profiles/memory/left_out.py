"""What a model's own section may leave out, because transformers takes it for granted.

A section inside a multimodal config is written as its difference from the class's defaults: that
of Gemma 3 4B has neither heads nor a vocabulary, that of LLaVA 1.5 not even a size. The numbers are
those of transformers 5.19's configuration classes. A config of its own is written whole.
"""

from collections.abc import Mapping
from typing import Any

_LLAMA = {
    "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
    "num_attention_heads": 32, "max_position_embeddings": 2048,
}  # fmt: skip
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "gemma": {
        "vocab_size": 256000, "hidden_size": 3072, "intermediate_size": 24576,
        "num_hidden_layers": 28, "num_attention_heads": 16, "head_dim": 256,
        "max_position_embeddings": 8192,
    },
    "gemma2": {
        "vocab_size": 256000, "hidden_size": 2304, "intermediate_size": 9216,
        "num_hidden_layers": 26, "num_attention_heads": 8, "num_key_value_heads": 4,
        "head_dim": 256, "sliding_window": 4096, "max_position_embeddings": 8192,
    },
    "gemma3_text": {
        "vocab_size": 262208, "hidden_size": 2304, "intermediate_size": 9216,
        "num_hidden_layers": 26, "num_attention_heads": 8, "num_key_value_heads": 4,
        "head_dim": 256, "sliding_window": 4096, "max_position_embeddings": 131072,
    },
    "llama": _LLAMA,
    "mistral": {
        **_LLAMA, "intermediate_size": 14336, "num_key_value_heads": 8, "sliding_window": 4096,
        "max_position_embeddings": 131072,
    },
    "qwen2": {
        **_LLAMA, "vocab_size": 151936, "intermediate_size": 22016,
        "max_position_embeddings": 32768,
    },
}  # fmt: skip


def left_out(section: Mapping[str, Any]) -> Mapping[str, Any]:
    """The defaults of an inner section's class, for what it has no word about.

    A null is a word: Mistral's `"sliding_window": null` switches the window off.
    """
    kind = section.get("model_type")
    defaults = _DEFAULTS.get(kind, {}) if isinstance(kind, str) else {}
    return {name: value for name, value in defaults.items() if name not in section}
