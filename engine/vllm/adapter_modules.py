"""What a worker of the engine knows of its model's modules; vLLM mixes it into its worker class.

vLLM itself compares only the last part of a module's name, and copies whatever fits into its
buffers: layers that the model does not have, and weights that are too small, pass in silence.
"""

from typing import Any

EXTENSION = f"{__name__}.AdapterModules"
"""For vLLM's `worker_extension_cls`."""


# Trained whole, for models that classify.
_HEADS = ("score", "classifier")


class AdapterModules:
    """Called by its methods' names, through `collective_rpc`."""

    model_runner: Any

    def foreign_modules(self, shapes: dict[str, list[int]]) -> tuple[list[str], list[str]]:
        """The modules of an adapter's tensors that are not here, and those of another size."""
        # Not above: the server imports this file for a name, and would hold the layers of all
        # models for it.
        from vllm.lora.utils import (  # noqa: PLC0415
            is_base_embedding_weights,
            parse_fine_tuned_lora_name,
        )

        manager = self.model_runner.lora_manager._adapter_manager
        mapper = getattr(manager.model, "hf_to_vllm_mapper", None)
        mapper = mapper.get_rename_mapper() if mapper is not None else None
        skipped = tuple(getattr(manager.model, "lora_skip_prefixes", None) or ())
        # q_proj, k_proj and v_proj are one module here, which knows them by name.
        here = {
            part: _sizes(module, place, len(parts))
            for name, module in manager.modules.items()
            for parts in [manager.packed_modules.get(name, [name])]
            for place, part in enumerate(parts)
        }
        if manager.is_pooling_model:  # whose adapters may be those of the bare model
            here |= {part.removeprefix("model."): sizes for part, sizes in here.items()}
        missing, misshapen = set(), set()
        for tensor, shape in shapes.items():
            # Experts have several layouts, which vLLM tells apart while it loads.
            if ".experts" in tensor or is_base_embedding_weights(tensor) or _is_in(tensor, skipped):
                continue
            try:
                name, is_down = parse_fine_tuned_lora_name(tensor, mapper)
            except ValueError:
                name, is_down = tensor, False
            if name in _HEADS:
                continue
            if name not in here:
                missing.add(name)
                continue
            inputs, outputs = here[name]
            mine, models = (shape[-1], inputs) if is_down else (shape[0], outputs)
            if models not in (mine, None):
                misshapen.add(name)
        return sorted(missing), sorted(misshapen)


def _sizes(module: Any, place: int, parts: int) -> tuple[int | None, int | None]:
    """How many numbers go in and come out, over all GPUs; None where a module does not tell.

    The part is at `place` of the `parts` that were packed.
    """
    base: Any = getattr(module, "base_layer", None)
    inputs = getattr(base, "input_size", getattr(module, "hidden_size", None))
    if hasattr(base, "embedding_dim"):
        return base.org_vocab_size, base.embedding_dim
    if hasattr(base, "total_num_kv_heads"):  # whose other sizes count heads that GPUs share
        keys = base.total_num_kv_heads * base.head_size
        values = base.total_num_kv_heads * base.v_head_size
        outputs = [base.total_num_heads * base.head_size, keys, values]
    elif parts == 1:
        outputs = [getattr(base, "output_size", None)]
    else:
        outputs = getattr(base, "output_sizes", [])
    return inputs, outputs[place] if len(outputs) == parts else None


def _is_in(tensor: str, prefixes: tuple[str, ...]) -> bool:
    return any(tensor.startswith(prefix) or f".{prefix}" in tensor for prefix in prefixes)
