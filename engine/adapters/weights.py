"""An adapter's weights, judged by their header: whole, in pairs, of a rank that is served."""

import zipfile
from pathlib import Path

from safetensors import SafetensorError, safe_open

from engine.adapters.peft_config import check_rank
from engine.adapters.refusal import AdapterRefusedError, Reason

Shapes = dict[str, list[int]]
"""Tensor → its sizes; empty where only the engine can tell."""

# Down to the rank, and up again; embeddings have names of their own.
_PAIRS = {".lora_A.weight": ".lora_B.weight", ".lora_embedding_A": ".lora_embedding_B"}
_MATRIX = 2


def read_shapes(path: Path, max_rank: int) -> Shapes:
    """The sizes of the tensors; raises `AdapterRefusedError` for a file that is not whole."""
    if path.suffix != ".safetensors":
        # Pickled: it is the engine's to read, which allows weights and nothing else.
        if not zipfile.is_zipfile(path):  # its table of contents is at the end
            raise AdapterRefusedError(Reason.WEIGHTS, f"{path.name} is truncated or broken.")
        return {}
    try:
        with safe_open(path, framework="np") as file:  # checks that the tensors fill the file
            shapes: Shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
    except SafetensorError:
        raise AdapterRefusedError(Reason.WEIGHTS, f"{path.name} is truncated or broken.") from None
    _check_pairs(shapes, max_rank)
    return shapes


def _check_pairs(shapes: Shapes, max_rank: int) -> None:
    down = [name for name in shapes if name.endswith(tuple(_PAIRS))]
    if not down:
        raise AdapterRefusedError(Reason.WEIGHTS, "There is no LoRA tensor in its weights.")
    for name in down:
        ending = next(ending for ending in _PAIRS if name.endswith(ending))
        up = shapes.get(name.removesuffix(ending) + _PAIRS[ending], [])
        mine = shapes[name]
        if len(mine) != _MATRIX or len(up) != _MATRIX or mine[0] != up[1]:
            raise AdapterRefusedError(
                Reason.WEIGHTS, f"Its tensor {name} does not fit to its counterpart."
            )
        # Experts of one layer may share a tensor, which then has the rank of all of them.
        if ".experts" not in name:
            check_rank(mine[0], max_rank)
