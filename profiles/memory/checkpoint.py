"""The weights of a checkpoint whose tensors are known: exact, tensor by tensor."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from profiles.memory.architecture import Architecture
from profiles.memory.blocks import Block, Role, Split, Weights
from profiles.memory.layers import Attention
from profiles.memory.naming import FUSED, is_next_token, is_tower, layer_of, role_of
from profiles.memory.quantization import Scheme
from profiles.memory.tensors import FLOATS, Tensor
from profiles.memory.towers import Tower

_Sums = dict[tuple[Role, Split], list[float]]  # elements, bytes


def weigh_tensors(
    tensors: Iterable[Tensor],
    architecture: Architecture,
    tower: Tower,
    scheme: Scheme,
    *,
    dtype_bytes: int,
) -> Weights:
    """What vLLM loads of these tensors."""
    first: _Sums = defaultdict(lambda: [0.0, 0.0])
    last: _Sums = defaultdict(lambda: [0.0, 0.0])
    count = len(architecture.layers)
    layers: list[_Sums] = [defaultdict(lambda: [0.0, 0.0]) for _ in range(count)]
    for tensor in tensors:
        parts = _parts(tensor, architecture, tower)
        layer = None if is_tower(tensor.name) else layer_of(tensor.name)
        if is_next_token(tensor.name) or (layer is not None and layer >= count):
            continue
        for role, split, share in parts:
            if role is Role.HEAD and architecture.has_tied_embeddings:
                continue
            is_last = role is Role.HEAD or (role is Role.NORM and layer is None)
            sums = layers[layer] if layer is not None else last if is_last else first
            sums[role, split][0] += share * _elements(tensor, scheme)
            sums[role, split][1] += share * _bytes(tensor, dtype_bytes)
    return Weights(
        first=_blocks(first), layers=tuple(_blocks(layer) for layer in layers), last=_blocks(last)
    )


def _blocks(sums: Mapping[tuple[Role, Split], list[float]]) -> tuple[Block, ...]:
    return tuple(
        Block(role, split, round(elements), size)
        for (role, split), (elements, size) in sums.items()
    )


def _parts(
    tensor: Tensor, architecture: Architecture, tower: Tower
) -> tuple[tuple[Role, Split, float], ...]:
    """The roles a tensor has, and the share of each: fused projections have two."""
    if is_tower(tensor.name):
        return ((Role.TOWER, Split.WHOLE if tower.is_replicated else Split.EVENLY, 1.0),)
    role, split = role_of(tensor.name)
    if role is Role.ATTENTION and FUSED.search(tensor.name):
        share = _cached_share(architecture)
        return ((role, Split.EVENLY, 1 - share), (role, Split.BY_KV_HEAD, share))
    return ((role, split, 1.0),)


def _cached_share(architecture: Architecture) -> float:
    """Keys and values as a part of a fused projection."""
    for layer in architecture.layers:
        if isinstance(layer.mixer, Attention):
            cached = 2 * layer.mixer.kv_heads
            return cached / (layer.mixer.heads + cached)
    return 0.0


def _bytes(tensor: Tensor, dtype_bytes: int) -> float:
    """In memory: floats become the model's type, but for scales and a router's corrections."""
    is_kept = "scale" in tensor.name or "e_score" in tensor.name
    if tensor.type in FLOATS and not is_kept:
        return float(tensor.elements * dtype_bytes)
    return tensor.bytes


def _elements(tensor: Tensor, scheme: Scheme) -> float:
    """Weights in it: packed ones unpacked, scales and zero points not counted."""
    name = tensor.name
    if any(word in name for word in ("scale", "zeros", "zero_point", "g_idx", "weight_shape")):
        return 0.0
    bits = {"int2": 2, "int3": 3, "int4": 4, "int8": 8, "nvfp4": 4, "mxfp4": 4}.get(scheme.word)
    if bits and tensor.type in ("I32", "U8", "I8"):
        return tensor.bytes * 8 / bits
    return float(tensor.elements)
