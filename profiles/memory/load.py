"""What vLLM reports as "Model loading took": weights of one rank, and what is made beside them."""

from collections.abc import Iterable

from profiles.memory.blocks import Block, Role, Split
from profiles.memory.layers import Attention, LatentAttention
from profiles.memory.model import ModelFacts
from profiles.memory.options import EngineOptions, LoraOptions
from profiles.memory.quantization import Scheme, scheme_of_words

# MXFP4 kernels want these multiples (vLLM 0.32, fused_moe/oracle/mxfp4.py).
_EXPERT_SIZE_STEP = 128
_EXPERT_WIDTH_STEP = 256
# In Qwen2.5-VL positions run ahead of tokens in videos (rotary_embedding/mrope.py).
_MROPE_POSITIONS = 4
_NAMES = {
    Role.EMBEDDING: "embeddings",
    Role.HEAD: "embeddings",
    Role.EXPERT: "experts",
    Role.TOWER: "towers",
}


def load_terms(model: ModelFacts, options: EngineOptions, stage: tuple[int, int]) -> dict[str, int]:
    """Bytes of the rank with these layers, by what they are."""
    scheme = _requested(model.scheme, options.quantization)
    ranks = options.tensor_parallel_size
    terms = {"weights": 0.0, "embeddings": 0.0, "experts": 0.0, "towers": 0.0}
    pad = _expert_padding(model, scheme or model.scheme, ranks)
    for block in _blocks(model, stage):
        size = block.bytes
        if scheme is not None and block.role in _requantized(model.scheme, scheme):
            size = scheme.bytes_of(block.role, block.elements, model.dtype_bytes)
        if block.role is Role.EXPERT:
            size *= pad
        terms[_NAMES.get(block.role, "weights")] += size / _shares(block.split, model, ranks)
    terms["rotary_cache"] = _rotary(model, options)
    terms["latent_copies"] = _latent_copies(model, stage) / ranks
    terms["lora"] = _lora(model, options.lora, stage, ranks) if options.lora else 0.0
    return {name: int(size) for name, size in terms.items()}


def _requested(own: Scheme, words: str | None) -> Scheme | None:
    """Another scheme than the checkpoint's, where one is asked for and makes sense."""
    found = scheme_of_words(words) if words else None
    if found is None or found.method is None:
        return None
    return found if own.method is None or own.is_assumed else None


def _requantized(own: Scheme, scheme: Scheme) -> frozenset[Role]:
    return frozenset(scheme.bits) | frozenset(own.bits)


def _blocks(model: ModelFacts, stage: tuple[int, int]) -> Iterable[Block]:
    weights = model.weights
    is_last = stage[1] >= len(weights.layers)
    if stage[0] == 0:
        yield from weights.first
    elif is_last and model.model.has_tied_embeddings:
        yield from (block for block in weights.first if block.role is Role.EMBEDDING)
    for layer in weights.layers[slice(*stage)]:
        yield from layer
    if is_last:
        yield from weights.last


def _shares(split: Split, model: ModelFacts, ranks: int) -> int:
    match split:
        case Split.EVENLY:
            return ranks
        case Split.BY_KV_HEAD:
            return min(ranks, max(1, model.num_key_value_heads))
        case Split.WHOLE:
            return 1


def _expert_padding(model: ModelFacts, scheme: Scheme, ranks: int) -> float:
    """How much larger the experts are in memory than in the file."""
    if not scheme.pads_experts:
        return 1.0
    parts = (layer.feed_forward for layer in model.model.layers)
    part = next((part for part in parts if part and part.experts and part.expert_size > 0), None)
    if part is None:
        return 1.0
    size = -(-part.expert_size // ranks)
    width = part.expert_width or model.model.hidden
    return _rounded(size, _EXPERT_SIZE_STEP) * _rounded(width, _EXPERT_WIDTH_STEP) / size / width


def _rounded(number: int, step: int) -> int:
    return -(-number // step) * step


def _rotary(model: ModelFacts, options: EngineOptions) -> float:
    """The table of cosines and sines; one for the whole model."""
    architecture = model.model
    if architecture.learned_positions or not architecture.head_dim:
        return 0.0
    length = max(architecture.max_model_len, options.max_model_len or 0)
    has_long_positions = any(word in model.model_type for word in ("qwen2_vl", "qwen2_5_vl"))
    positions = length * (_MROPE_POSITIONS if has_long_positions else 1)
    return float(positions * architecture.rotary_dim * model.dtype_bytes)


def _latent_copies(model: ModelFacts, stage: tuple[int, int]) -> float:
    """MLA keeps its expansion a second time, in 16 bits, for decoding."""
    return float(
        sum(
            mixer.kv_rank * mixer.heads * (mixer.nope_dim + mixer.value_dim) * model.dtype_bytes
            for layer in model.model.layers[slice(*stage)]
            if isinstance(mixer := layer.mixer, LatentAttention) and mixer.is_expanded
        )
    )


def _lora(model: ModelFacts, lora: LoraOptions, stage: tuple[int, int], ranks: int) -> float:
    """Two low-rank matrices for each projection and slot; only the outer one is split."""
    architecture = model.model
    hidden = architecture.hidden
    width = 0.0
    for layer in architecture.layers[slice(*stage)]:
        if isinstance(mixer := layer.mixer, Attention):
            queries, cached = mixer.heads * mixer.head_dim, mixer.kv_heads * mixer.head_dim
            width += 3 * hidden + hidden + queries / ranks + (queries + 2 * cached) / ranks
        if (part := layer.feed_forward) and part.dense:
            width += (part.matrices - 1) * hidden + hidden
            width += part.matrices * part.dense / ranks
    width += 2 * (hidden + architecture.vocabulary) / ranks
    return lora.slots * lora.max_rank * width * model.dtype_bytes
