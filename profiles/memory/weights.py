"""Counts the weights of an architecture whose files are not here."""

from functools import cache

from profiles.memory.architecture import Architecture
from profiles.memory.blocks import Block, Role, Split, Weights
from profiles.memory.layers import Attention, FeedForward, LatentAttention, Layer, Recurrence
from profiles.memory.quantization import Scheme
from profiles.memory.towers import Tower

_VOCABULARY_PADDING = 64  # vLLM, layers/vocab_parallel_embedding.py

Count = tuple[Role, Split, int]


def count_weights(
    architecture: Architecture, tower: Tower, scheme: Scheme, *, dtype_bytes: int
) -> Weights:
    """Every weight vLLM loads without speculation (no MTP layers)."""

    def blocks(counts: list[Count]) -> tuple[Block, ...]:
        return tuple(
            Block(role, split, elements, scheme.bytes_of(role, elements, dtype_bytes))
            for role, split, elements in counts
            if elements
        )

    @cache
    def of_layer(layer: Layer) -> tuple[Block, ...]:
        return blocks(_layer(layer, architecture.hidden))

    return Weights(
        first=blocks(_first(architecture, tower)),
        layers=tuple(of_layer(layer) for layer in architecture.layers),
        last=blocks(_last(architecture)),
    )


def padded_vocabulary(size: int, ranks: int = 1) -> int:
    """Rows of the embedding over all ranks."""
    step = _VOCABULARY_PADDING * ranks
    return -(-size // step) * step


def _first(architecture: Architecture, tower: Tower) -> list[Count]:
    hidden = architecture.hidden
    per_layer = len(architecture.layers) * architecture.layer_embedding
    return [
        (Role.EMBEDDING, Split.EVENLY, padded_vocabulary(architecture.vocabulary) * hidden),
        (Role.EMBEDDING, Split.EVENLY, architecture.layer_vocabulary * per_layer),
        (Role.OTHER, Split.WHOLE, (architecture.learned_positions + per_layer) * hidden),
        (Role.TOWER, Split.WHOLE if tower.is_replicated else Split.EVENLY, tower.elements),
    ]


def _last(architecture: Architecture) -> list[Count]:
    head = padded_vocabulary(architecture.vocabulary) * architecture.hidden
    needs_head = architecture.has_head and not architecture.has_tied_embeddings
    return [
        (Role.NORM, Split.WHOLE, architecture.hidden),
        (Role.HEAD, Split.EVENLY, head if needs_head else 0),
    ]


def _layer(layer: Layer, hidden: int) -> list[Count]:
    counts: list[Count] = [(Role.NORM, Split.WHOLE, 2 * hidden)]
    match layer.mixer:
        case Attention() as attention:
            counts += _attention(attention, hidden)
        case LatentAttention() as attention:
            counts += _latent(attention, hidden)
        case Recurrence() as recurrence:
            counts.append((Role.RECURRENCE, Split.EVENLY, recurrence.weights))
        case None:
            pass
    if layer.feed_forward:
        counts += _feed_forward(layer.feed_forward, hidden)
    return counts


def _attention(attention: Attention, hidden: int) -> list[Count]:
    queries = attention.heads * attention.head_dim * (2 if attention.has_output_gate else 1)
    outputs = attention.heads * attention.value_dim
    values = attention.value_dim if attention.has_value_projection else 0
    cached = attention.kv_heads * (attention.head_dim + values)
    if attention.shares_cache:
        cached = 0
    return [
        (Role.ATTENTION, Split.EVENLY, hidden * (queries + outputs)),
        (Role.ATTENTION, Split.BY_KV_HEAD, hidden * cached),
    ]


def _latent(attention: LatentAttention, hidden: int) -> list[Count]:
    heads, rank = attention.heads, attention.query_rank
    query_dim = heads * (attention.nope_dim + attention.rope_dim)
    queries = (rank or hidden) * query_dim
    expansion = attention.kv_rank * heads * (attention.nope_dim + attention.value_dim)
    outputs = heads * attention.value_dim * hidden
    if not attention.is_expanded:
        expansion = 0
        inner = heads * attention.value_dim + attention.output_groups * hidden
        outputs = inner * attention.output_rank
    index = attention.index_heads * attention.index_dim * (rank or hidden)
    index += hidden * (attention.index_dim + attention.index_heads)
    return [
        (Role.ATTENTION, Split.EVENLY, queries + expansion + outputs),
        (Role.ATTENTION, Split.WHOLE, hidden * (rank + attention.cached_dim)),
        (Role.OTHER, Split.WHOLE, index if attention.index_heads else 0),
    ]


def _feed_forward(part: FeedForward, hidden: int) -> list[Count]:
    width = part.expert_width or hidden
    joints = 2 * hidden * part.expert_width  # into the experts' width and back
    experts = part.experts * part.matrices * width * part.expert_size
    return [
        (Role.DENSE, Split.EVENLY, part.matrices * hidden * part.dense),
        (Role.EXPERT, Split.EVENLY, experts),
        (Role.SHARED_EXPERT, Split.EVENLY, part.matrices * hidden * part.shared),
        (Role.ROUTER, Split.WHOLE, hidden * part.experts + joints),
    ]
