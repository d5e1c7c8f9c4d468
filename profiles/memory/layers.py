"""What a decoder layer is made of, as far as memory is concerned. Data only."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """Attention with keys and values for every token, or for a window of them."""

    heads: int
    kv_heads: int
    head_dim: int
    value_dim: int
    window: int | None = None  # tokens the layer looks back
    chunk: int | None = None  # tokens of a local chunk (Llama 4)
    has_output_gate: bool = False  # the query projection is twice as wide
    has_value_projection: bool = True  # Gemma 4 reuses the keys in its full-attention layers
    shares_cache: bool = False  # reads another layer's keys and values (Gemma 3n, Gemma 4 E)


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentAttention:
    """DeepSeek's MLA: one compressed vector for each token, whole on every rank."""

    heads: int
    query_rank: int  # 0: the query is not compressed
    kv_rank: int
    rope_dim: int
    nope_dim: int
    value_dim: int
    index_heads: int = 0  # sparse attention's indexer (DeepSeek V3.2, GLM 5)
    index_dim: int = 0
    compression: int = 1  # tokens for which one vector is kept (DeepSeek V4); 0: none is
    output_rank: int = 0  # of the output projection's first half, of which there are …
    output_groups: int = 1

    @property
    def cached_dim(self) -> int:
        """What is kept of a token."""
        return self.kv_rank + self.rope_dim

    @property
    def is_expanded(self) -> bool:
        """Whether keys and values are computed from what is cached; V4 attends to it as it is."""
        return not self.output_rank


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurrence:
    """Mamba, gated delta net, linear attention, short convolution: one state for each request."""

    weights: int  # elements of its projections, split over the ranks
    convolution: int  # elements of the convolution's state of one request
    state: int  # elements of the recurrent state of one request
    state_bytes: int  # of one element


Mixing = Attention | LatentAttention | Recurrence


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedForward:
    """The dense part, the experts, or both."""

    dense: int = 0  # intermediate size
    matrices: int = 3  # 2 without a gate
    experts: int = 0
    expert_size: int = 0  # intermediate size of one expert
    expert_width: int = 0  # what experts read and write, where it is not the model's own width
    shared: int = 0  # intermediate size of all shared experts together
    experts_per_token: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer; what it does not have is None."""

    mixer: Mixing | None
    feed_forward: FeedForward | None
