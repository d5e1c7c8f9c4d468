"""Pages of the KV cache: what a block takes, what a request needs.

After vLLM 0.32, v1/core/kv_cache_utils.py and v1/kv_cache_interface.py. All groups of layers draw
blocks of one size from one pool; which layers form a group decides how many blocks a request takes.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from profiles.memory.layers import Attention, LatentAttention, Layer, Mixing, Recurrence

_BLOCK_TOKENS = 16
_LATENT_BLOCK_TOKENS = 64  # FlashMLA; other backends take 32 or 128
_LATENT_HYBRID_ALIGNMENT = 128  # platforms/interface.py, _align_hybrid_block_size
_STATES_PER_REQUEST = 2  # with prefix caching, the default: the running state and a kept one
# Bytes of one cached number. NVFP4 carries a scale for every 16.
_CACHE_BYTES = {
    "fp8": 1.0,
    "int8": 1.0,
    "nvfp4": 0.5625,
    "float16": 2.0,
    "bfloat16": 2.0,
    "half": 2.0,
}
# Sparse attention's indexer keeps an FP8 key and a float scale for every 128 numbers of it.
_INDEX_SCALE_BYTES, _INDEX_GROUP = 4, 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What one layer keeps in one block; layers with equal pages can form a group."""

    bytes: int
    tokens: int  # of a block; 0 for a state, which has no tokens
    window: int | None = None
    chunk: int | None = None

    @property
    def is_full(self) -> bool:
        """Whether it keeps every token."""
        return bool(self.tokens) and self.window is None and self.chunk is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Layers that share their block numbers."""

    page: Page
    layers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheLayout:
    """The groups of the layers of one stage."""

    groups: tuple[Group, ...]
    block_bytes: int

    @property
    def bytes_per_token(self) -> int:
        """What one more token takes while all its layers keep it, padding included."""
        return round(sum(self.block_bytes / g.page.tokens for g in self.groups if g.page.tokens))

    @property
    def block_tokens(self) -> int:
        """The largest number of tokens in a block: lengths are planned in multiples of it."""
        return max((group.page.tokens for group in self.groups), default=_BLOCK_TOKENS)

    def blocks_of_request(self, length: int, *, tokens_in_flight: int) -> int:
        """The blocks a request of this length holds at most."""
        return sum(_blocks(group.page, length, tokens_in_flight) for group in self.groups)

    def bytes_of_request(self, length: int, *, tokens_in_flight: int) -> int:
        """What has to be free to start with this length; one block is never given out."""
        if not self.groups:
            return 0
        blocks = self.blocks_of_request(length, tokens_in_flight=tokens_in_flight)
        return (blocks + 1) * self.block_bytes


def _blocks(page: Page, length: int, in_flight: int) -> int:
    if not page.tokens:
        return _STATES_PER_REQUEST
    if page.window is not None:
        kept = min(page.window - 1 + in_flight, length)
        return -(-kept // page.tokens) + 1
    if page.chunk is not None:
        return -(-min(page.chunk + in_flight, length) // page.tokens)
    return -(-length // page.tokens)


def cache_bytes(word: str, *, dtype_bytes: int, has_fp8_cache: bool) -> float:
    """Bytes of one cached number, for what `--kv-cache-dtype` says."""
    word = word.lower()
    if word in ("", "auto"):
        return 1.0 if has_fp8_cache else float(dtype_bytes)
    return next((size for name, size in _CACHE_BYTES.items() if word.startswith(name)), 2.0)


def plan_cache(
    layers: Sequence[Layer], *, ranks: int, number_bytes: float, dtype_bytes: int
) -> CacheLayout:
    """The layout vLLM arrives at for these layers of one rank."""
    mixers = Counter(layer.mixer for layer in layers if layer.mixer is not None)
    tokens = _block_tokens(mixers, ranks, number_bytes, dtype_bytes)
    pages: Counter[Page] = Counter()
    for mixer, count in mixers.items():
        for page in _pages(mixer, ranks, number_bytes, dtype_bytes, tokens):
            pages[page] += count
    if not pages:
        return CacheLayout(groups=(), block_bytes=0)
    if all(page.is_full for page in pages):
        return _one_group(pages)
    return _equal_groups(pages)


def _one_group(pages: Counter[Page]) -> CacheLayout:
    """All layers keep every token: one group, whatever their pages."""
    block_bytes = sum(page.bytes * count for page, count in pages.items())
    tokens = next(iter(pages)).tokens
    page = Page(bytes=block_bytes, tokens=tokens)
    return CacheLayout(groups=(Group(page=page, layers=1),), block_bytes=block_bytes)


def _equal_groups(pages: Counter[Page]) -> CacheLayout:
    """Groups of as many layers each, padded where they do not divide."""
    largest = max(page.bytes for page in pages)
    unified: Counter[Page] = Counter()
    for page, count in pages.items():
        unified[_unify(page, largest)] += count
    size, most = min(unified.values()), max(unified.values())
    if most < size * 1.5:
        size = most
    groups = tuple(
        Group(page=page, layers=size)
        for page, count in unified.items()
        for _ in range(-(-count // size))
    )
    return CacheLayout(groups=groups, block_bytes=size * largest)


def _unify(page: Page, largest: int) -> Page:
    """Smaller pages get more tokens where that fits exactly, else they are padded."""
    if page.tokens and largest % page.bytes == 0:
        return replace(page, bytes=largest, tokens=page.tokens * (largest // page.bytes))
    return replace(page, bytes=largest)


def _block_tokens(
    mixers: Counter[Mixing],
    ranks: int,
    number_bytes: float,
    dtype_bytes: int,
) -> int:
    """Tokens of a block: enough for an attention page to be as large as a state."""
    is_latent = any(isinstance(mixer, LatentAttention) for mixer in mixers)
    tokens = _LATENT_BLOCK_TOKENS if is_latent else _BLOCK_TOKENS
    state = max(
        (
            _state_bytes(mixer, ranks, dtype_bytes)
            for mixer in mixers
            if isinstance(mixer, Recurrence)
        ),
        default=0,
    )
    one = max((_token_bytes(mixer, ranks, number_bytes) for mixer in mixers), default=0)
    if not state or not one:
        return tokens
    step = _LATENT_HYBRID_ALIGNMENT if is_latent else tokens
    return max(tokens, step * -(-state // (step * one)))


def _pages(
    mixer: Mixing,
    ranks: int,
    number_bytes: float,
    dtype_bytes: int,
    tokens: int,
) -> list[Page]:
    one = _token_bytes(mixer, ranks, number_bytes)
    match mixer:
        case Attention(window=window, chunk=chunk) if one:
            return [Page(bytes=one * tokens, tokens=tokens, window=window, chunk=chunk)]
        case LatentAttention(index_dim=dim, compression=compression):
            index = (dim + _INDEX_SCALE_BYTES * (dim // _INDEX_GROUP)) // max(compression, 1)
            pages = [Page(bytes=one * tokens, tokens=tokens)]
            return [*pages, Page(bytes=index * tokens, tokens=tokens)] if dim else pages
        case Recurrence():
            return [Page(bytes=_state_bytes(mixer, ranks, dtype_bytes), tokens=0)]
        case _:
            return []


def _token_bytes(mixer: Mixing, ranks: int, number_bytes: float) -> int:
    """What a token takes in one layer of one rank."""
    match mixer:
        case Attention(shares_cache=False):
            heads = max(1, mixer.kv_heads // ranks)
            return round(heads * (mixer.head_dim + mixer.value_dim) * number_bytes)
        case LatentAttention():
            return round(mixer.cached_dim * number_bytes / max(mixer.compression, 1))
        case _:
            return 0


def _state_bytes(mixer: Recurrence, ranks: int, dtype_bytes: int) -> int:
    return (mixer.convolution * dtype_bytes + mixer.state * mixer.state_bytes) // ranks
