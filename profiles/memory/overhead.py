"""What a running engine takes beside weights and KV cache, inside vLLM's budget.

Constants cite their measurement: rows are those of tests/data/vllm_memory.
"""

from dataclasses import dataclass

from profiles.memory.layers import Attention, FeedForward, LatentAttention, Mixing
from profiles.memory.model import ModelFacts
from profiles.memory.options import GIB, Batch, EngineOptions
from profiles.memory.weights import padded_vocabulary

_MIB = 1 << 20
# Kernels, cuBLAS and allocator: consumed less load less the sampler's state, rows 34 and 78.
_LIBRARIES_BYTES = int(0.14 * GIB)
# What doubling the ranks adds inside the budget: non-torch memory 0.13 to 0.54 GiB at TP2, rows 72
# and 73; 5 GiB of overhead in all at TP4 and 5-7.6 at TP8 on H200 with NVLink.
_COMMUNICATION_BYTES = int(0.4 * GIB)
# v1/worker/gpu/sample/penalties.py: an int32 for each token of the vocabulary, and a bit.
_SAMPLER_STATE_BYTES = 4.125
# The logits in 16 bits, and the float copy that any but plain sampling makes (sample/sampler.py).
_LOGITS_BYTES = 6
# vLLM's own estimate of the graphs it will capture: 0.2 GiB in row 34, 0.5 in row 19, 0.76 in row
# 33; with several ranks the communication's buffers are captured too.
_GRAPH_POOL_BYTES = int(0.1 * GIB)
_GRAPH_COMMUNICATION_BYTES = int(0.3 * GIB)
_GRAPH_LAYER_BYTES = int(0.1 * _MIB)
_LARGEST_GRAPH = 512
_LARGEST_ENCODER_BATCH = 65536  # patches encoded at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Overhead:
    """Bytes of one rank, by what they are for."""

    persistent: dict[str, int]
    transient: dict[str, int]
    graphs: int
    compilation: int  # only while torch.compile's cache is cold

    @property
    def terms(self) -> dict[str, int]:
        """Everything, by name."""
        return {
            **self.persistent,
            **self.transient,
            "cuda_graphs": self.graphs,
            "cold_compilation": self.compilation,
        }


def estimate_overhead(
    model: ModelFacts,
    options: EngineOptions,
    batch: Batch,
    *,
    stage: tuple[int, int],
) -> Overhead:
    """What the rank with these layers needs."""
    architecture = model.model
    is_last = stage[1] >= len(architecture.layers)
    samples = is_last and architecture.has_head
    vocabulary = padded_vocabulary(architecture.vocabulary)
    ranks = options.tensor_parallel_size
    eager = options.enforce_eager
    doublings = (ranks * options.pipeline_parallel_size - 1).bit_length()
    rows = batch.max_num_seqs * vocabulary if samples else 0
    forward = _forward(model, batch, ranks)
    encoder, embeddings = _encoder(model, batch) if stage[0] == 0 else (0, 0)
    return Overhead(
        persistent={
            "libraries": _LIBRARIES_BYTES,
            "communication": _COMMUNICATION_BYTES * doublings,
            "sampler_state": int(rows * _SAMPLER_STATE_BYTES),
            "expert_workspace": _expert_workspace(model, batch, ranks),
        },
        transient={
            "activations": max(encoder, embeddings + max(forward, rows * _LOGITS_BYTES)),
        },
        graphs=0 if eager else _graphs(batch, stage[1] - stage[0], ranks),
        # Between a cold and a warm start of the same server lies one embedding table: rows 79-85.
        compilation=0 if eager else vocabulary * architecture.hidden * model.dtype_bytes // ranks,
    )


def _forward(model: ModelFacts, batch: Batch, ranks: int) -> int:
    """Activations of the widest layer with a full batch of tokens."""
    hidden = model.model.hidden
    widest = max((_width(layer.feed_forward, ranks) for layer in model.model.layers), default=0)
    attention = max((_projected(layer.mixer, ranks) for layer in model.model.layers), default=0)
    numbers = 4 * hidden + max(widest, attention)
    return batch.max_num_batched_tokens * numbers * model.dtype_bytes


def _width(part: FeedForward | None, ranks: int) -> int:
    if part is None:
        return 0
    return max(part.dense, part.shared) * part.matrices // ranks


def _projected(mixer: Mixing | None, ranks: int) -> int:
    match mixer:
        case Attention():
            return (mixer.heads * 3 + 2 * mixer.kv_heads) * mixer.head_dim // ranks
        case LatentAttention():
            inner = mixer.nope_dim + mixer.rope_dim + mixer.value_dim
            return mixer.heads * 2 * inner // ranks + mixer.query_rank + mixer.cached_dim
        case _:
            return 0


def _expert_workspace(model: ModelFacts, batch: Batch, ranks: int) -> int:
    """Two buffers that stay, a row for each token and expert (experts/triton_moe.py)."""
    return (
        max(
            (
                _workspace(layer.feed_forward, model.model.hidden, ranks)
                for layer in model.model.layers
                if layer.feed_forward and layer.feed_forward.experts
            ),
            default=0,
        )
        * batch.max_num_batched_tokens
        * model.dtype_bytes
    )


def _workspace(part: FeedForward, hidden: int, ranks: int) -> int:
    width = part.expert_width or hidden
    size = -(-part.expert_size // ranks)
    return part.experts_per_token * (max(size, width) + max(2 * size, width))


def _encoder(model: ModelFacts, batch: Batch) -> tuple[int, int]:
    """Peak while the largest image is encoded, and the embeddings that stay from it."""
    tower = model.tower
    if not tower.width:
        return 0, 0
    tokens = max(batch.max_num_batched_tokens, tower.largest_item_tokens)
    patches = min(tokens * tower.patches_per_token, _LARGEST_ENCODER_BATCH)
    peak = patches * (6 * tower.width + 2 * tower.intermediate) * model.dtype_bytes
    kept = tokens * model.model.hidden * model.dtype_bytes
    return peak, kept


def _graphs(batch: Batch, layers: int, ranks: int) -> int:
    largest = min(2 * batch.max_num_seqs, _LARGEST_GRAPH, batch.max_num_batched_tokens)
    sizes = 3 + min(largest, 255) // 8 + max(0, largest - 240) // 16
    pool = _GRAPH_POOL_BYTES + (_GRAPH_COMMUNICATION_BYTES if ranks > 1 else 0)
    return pool + layers * sizes * _GRAPH_LAYER_BYTES
