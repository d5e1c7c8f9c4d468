"""LoRA adapters for the built-in model, made of a seed: real weights that change every answer."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

# Of deploy/demo/unigate-demo: layers, and module → inputs, outputs.
_LAYERS = 5
_HIDDEN, _INTERMEDIATE, _HEADS, _KV_HEADS = 192, 352, 256, 128
MODULES = {
    "self_attn.q_proj": (_HIDDEN, _HEADS),
    "self_attn.k_proj": (_HIDDEN, _KV_HEADS),
    "self_attn.v_proj": (_HIDDEN, _KV_HEADS),
    "self_attn.o_proj": (_HEADS, _HIDDEN),
    "mlp.gate_proj": (_HIDDEN, _INTERMEDIATE),
    "mlp.up_proj": (_HIDDEN, _INTERMEDIATE),
    "mlp.down_proj": (_INTERMEDIATE, _HIDDEN),
}
_ALPHA = 16

Tensors = dict[str, NDArray[np.float32]]


def tensors(seed: int, *, rank: int = 8, layers: int = _LAYERS, strength: float = 0.2) -> Tensors:
    """A LoRA of all linear layers."""
    random = np.random.default_rng(seed)
    made: Tensors = {}
    for layer in range(layers):
        for module, (inputs, outputs) in MODULES.items():
            name = f"base_model.model.model.layers.{layer}.{module}"
            down = random.normal(0, strength, (rank, inputs))
            up = random.normal(0, strength, (outputs, rank))
            made[f"{name}.lora_A.weight"] = down.astype(np.float32)
            made[f"{name}.lora_B.weight"] = up.astype(np.float32)
    return made


def config(*, rank: int = 8, **fields: Any) -> dict[str, Any]:
    """adapter_config.json."""
    modules = [module.rpartition(".")[2] for module in MODULES]
    made = {"peft_type": "LORA", "r": rank, "lora_alpha": _ALPHA, "target_modules": modules}
    return made | fields


def write_adapter(
    directory: Path,
    seed: int = 1,
    *,
    rank: int = 8,
    weights: Tensors | None = None,
    **fields: Any,
) -> Path:
    """A whole adapter, as PEFT would have saved it; `fields` are those of its configuration."""
    directory.mkdir(parents=True, exist_ok=True)
    made = config(rank=rank, **fields)
    (directory / "adapter_config.json").write_text(json.dumps(made))
    save_file(weights or tensors(seed, rank=rank), directory / "adapter_model.safetensors")
    return directory


def merged_answer(model: Path, adapter: Path, prompt: list[int], length: int) -> list[int]:
    """The tokens that the model with the adapter added to its weights is most sure of.

    By transformers, which has nothing in common with the way that an engine serves adapters.
    """
    import torch  # noqa: PLC0415  # takes seconds
    from transformers import AutoModelForCausalLM  # noqa: PLC0415

    network = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    weights = load_file(adapter / "adapter_model.safetensors")
    for name, down in weights.items():
        if not name.endswith("lora_A.weight"):
            continue
        up = weights[name.replace("lora_A", "lora_B")]
        module: Any = network.get_submodule(
            name.removeprefix("base_model.model.")[: -len(".lora_A.weight")]
        )
        module.weight.data += torch.from_numpy(up @ down) * (_ALPHA / len(down))
    tokens = list(prompt)
    with torch.inference_mode():
        for _ in range(length):
            tokens.append(int(network(torch.tensor([tokens])).logits[0, -1].argmax()))
    return tokens[len(prompt) :]
