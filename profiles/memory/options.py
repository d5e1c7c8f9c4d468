"""How the engine is started, and what vLLM 0.32 takes where nothing is said."""

from dataclasses import dataclass

GIB = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraOptions:
    """Room for adapters, which vLLM sets aside while it loads the model."""

    max_rank: int = 16
    slots: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """What decides about memory."""

    gpu_memory_bytes: int  # what CUDA shows as the total of the smallest GPU used
    tensor_parallel_size: int = 1
    pipeline_parallel_size: int = 1
    gpu_memory_utilization: float = 0.92  # vLLM 0.32, config/cache.py
    max_model_len: int | None = None  # None: the model's own
    max_num_seqs: int | None = None  # None: vLLM's default for this GPU
    max_num_batched_tokens: int | None = None
    kv_cache_dtype: str = "auto"
    quantization: str | None = None  # None: what the checkpoint says
    enforce_eager: bool = False
    lora: LoraOptions | None = None
    compute_capability: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        counts = (self.gpu_memory_bytes, self.tensor_parallel_size, self.pipeline_parallel_size)
        if min(counts) < 1 or not 0 < self.gpu_memory_utilization <= 1:
            raise ValueError(
                "GPU memory and parallel sizes have to be positive, and the utilization a part of 1"
            )

    @property
    def budget_bytes(self) -> int:
        """What vLLM allows itself on each GPU."""
        return int(self.gpu_memory_bytes * self.gpu_memory_utilization)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """How much is computed at once."""

    max_model_len: int
    max_num_seqs: int
    max_num_batched_tokens: int


def resolve_batch(options: EngineOptions, *, max_model_len: int) -> Batch:
    """The limits vLLM's server ends up with (0.32, engine/arg_utils.py, get_batch_defaults)."""
    length = options.max_model_len or max_model_len
    tokens, seqs = _defaults(options)
    tokens = options.max_num_batched_tokens or min(tokens, (options.max_num_seqs or seqs) * length)
    return Batch(
        max_model_len=length,
        max_num_seqs=options.max_num_seqs or min(seqs, tokens),
        max_num_batched_tokens=tokens,
    )


def _defaults(options: EngineOptions) -> tuple[int, int]:
    # An A100 is told by its name there; no other GPU of that size has its compute capability.
    is_a100 = options.compute_capability == (8, 0)
    if options.gpu_memory_bytes >= 160 * GIB:
        return 16384, 1024
    if options.gpu_memory_bytes >= 70 * GIB and not is_a100:
        return 8192, 1024
    return 2048, 256
