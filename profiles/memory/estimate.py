"""Will it fit: memory of each rank, of the rank that decides, and the length that is left."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from profiles.memory.kv_cache import CacheLayout, cache_bytes, plan_cache
from profiles.memory.load import load_terms
from profiles.memory.model import ModelFacts
from profiles.memory.options import Batch, EngineOptions, resolve_batch
from profiles.memory.overhead import Overhead, estimate_overhead
from profiles.memory.stages import stage_bounds


class Fit(Enum):
    """Whether a model can be served."""

    RUNNABLE = "runnable"
    LOW_MEMORY = "low_memory"  # with a shorter max_model_len
    INCOMPATIBLE = "incompatible"


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Bytes per GPU, of the rank that decides."""

    weights_bytes: int
    kv_cache_bytes: int  # with a cold compile cache: plan with this one; negative: does not fit
    kv_cache_bytes_warm: int
    kv_bytes_per_token: int
    kv_cache_tokens: int
    overhead_bytes: int
    terms: Mapping[str, int]
    max_model_len: int
    longest_model_len: int
    fits: Fit
    required_bytes: int
    reduced_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rank:
    """One rank of one pipeline stage."""

    load: Mapping[str, int]
    overhead: Overhead
    layout: CacheLayout
    in_flight: int
    budget: int

    @property
    def weights(self) -> int:
        return sum(self.load.values())

    @property
    def used(self) -> int:
        return self.weights + sum(self.overhead.terms.values())

    @property
    def free(self) -> int:
        return self.budget - self.used

    @property
    def blocks(self) -> int:
        """Blocks that fit; a rank without a cache never decides."""
        return self.free // self.layout.block_bytes if self.layout.block_bytes else 1 << 62

    def needs(self, length: int) -> int:
        return self.layout.bytes_of_request(length, tokens_in_flight=self.in_flight)


def estimate(model: ModelFacts, options: EngineOptions) -> Estimate:
    """Memory of the rank with the fewest blocks, which is the one vLLM goes by."""
    batch = resolve_batch(options, max_model_len=model.max_model_len)
    bounds = stage_bounds(len(model.model.layers), options.pipeline_parallel_size)
    ranks = [_rank(model, options, batch, stage) for stage in bounds]
    rank = min(ranks, key=lambda rank: (rank.blocks, rank.free))
    length = batch.max_model_len
    longest = min(_longest(rank, length) for rank in ranks)
    required = max(_required(rank, length, options) for rank in ranks)
    return Estimate(
        weights_bytes=rank.weights,
        kv_cache_bytes=rank.free,
        kv_cache_bytes_warm=rank.free + rank.overhead.compilation,
        kv_bytes_per_token=rank.layout.bytes_per_token,
        kv_cache_tokens=_tokens(rank, length),
        overhead_bytes=rank.budget - rank.weights - rank.free,
        terms={**rank.load, **rank.overhead.terms},
        max_model_len=length,
        longest_model_len=longest,
        fits=_fit(length, longest),
        required_bytes=required,
        reduced_bytes=(
            max(_required(rank, longest, options) for rank in ranks) if longest else None
        ),
    )


def _rank(model: ModelFacts, options: EngineOptions, batch: Batch, stage: tuple[int, int]) -> _Rank:
    number_bytes = cache_bytes(
        options.kv_cache_dtype,
        dtype_bytes=model.dtype_bytes,
        has_fp8_cache=model.scheme.has_fp8_cache,
    )
    layers = model.model.layers[slice(*stage)] if model.model.has_cache else ()
    layout = plan_cache(
        layers,
        ranks=options.tensor_parallel_size,
        number_bytes=number_bytes,
        dtype_bytes=model.dtype_bytes,
    )
    return _Rank(
        load=load_terms(model, options, stage),
        overhead=estimate_overhead(model, options, batch, stage=stage),
        layout=layout,
        # Asynchronous scheduling keeps one batch more in flight than there are stages.
        in_flight=(options.pipeline_parallel_size + 1) * batch.max_num_batched_tokens,
        budget=options.budget_bytes,
    )


def _tokens(rank: _Rank, length: int) -> int:
    """What vLLM 0.32 prints: concurrency at this length, times the length."""
    if not rank.layout.groups or rank.blocks <= 0:
        return 0
    needed = rank.layout.blocks_of_request(length, tokens_in_flight=rank.in_flight)
    return int(rank.blocks / needed * length)


def _longest(rank: _Rank, length: int) -> int:
    """The longest that fits, in whole blocks."""
    if rank.free <= 0:
        return 0
    if rank.needs(length) <= rank.free:
        return length
    step = rank.layout.block_tokens
    low, high = 0, length // step
    while low < high:
        middle = (low + high + 1) // 2
        if rank.needs(middle * step) <= rank.free:
            low = middle
        else:
            high = middle - 1
    return low * step


def _fit(length: int, longest: int) -> Fit:
    if longest >= length:
        return Fit.RUNNABLE
    return Fit.LOW_MEMORY if longest else Fit.INCOMPATIBLE


def _required(rank: _Rank, length: int, options: EngineOptions) -> int:
    """The GPU that would hold it, as CUDA counts."""
    return -int(-(rank.used + rank.needs(length)) // options.gpu_memory_utilization)
