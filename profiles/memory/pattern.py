"""Which layer of a model is what: the many ways configs have to say it."""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any

from profiles.memory.fields import Fields, family


class Mixer(Enum):
    """How a layer mixes tokens."""

    FULL = auto()
    SLIDING = auto()
    CHUNKED = auto()
    RECURRENT = auto()
    NONE = auto()


_WORDS = {
    "full_attention": Mixer.FULL,
    "attention": Mixer.FULL,
    "global": Mixer.FULL,
    "global_attention": Mixer.FULL,
    "hybrid": Mixer.FULL,  # Zamba's and Falcon-H1's layers have both
    "sliding_attention": Mixer.SLIDING,
    "local": Mixer.SLIDING,
    "local_attention": Mixer.SLIDING,
    "chunked_attention": Mixer.CHUNKED,
    "linear_attention": Mixer.RECURRENT,
    "mamba": Mixer.RECURRENT,
    "mamba2": Mixer.RECURRENT,
    "conv": Mixer.RECURRENT,
    "recurrent": Mixer.RECURRENT,
    "lightning_attention": Mixer.RECURRENT,
    "mlp": Mixer.NONE,
    "moe": Mixer.NONE,
}
# Nemotron-H writes one letter for each layer.
_LETTERS = {"m": Mixer.RECURRENT, "*": Mixer.FULL, "-": Mixer.NONE, "e": Mixer.NONE}
_RECURRENT_ONLY = ("mamba", "mamba2", "falcon_mamba", "rwkv")
# Model types that alternate without saying so (transformers knows): one of so many is full.
_ALTERNATING = {
    "gemma2": 2,
    "gpt_oss": 2,
    "cohere2": 4,
    "exaone4": 4,
    "gemma3": 6,
    "gemma3_text": 6,
}


def mixers(fields: Fields, count: int) -> tuple[Mixer, ...]:
    """What each of the `count` layers is."""
    for read in (_listed, _lettered, _kimi, _numbered, _periodic):
        found = read(fields, count)
        if found:
            return _fit(found, count)
    return (_uniform(fields),) * count


def _uniform(fields: Fields) -> Mixer:
    if family(fields) in _RECURRENT_ONLY:
        return Mixer.RECURRENT
    if fields.integers("compress_ratios"):  # DeepSeek V4's window is beside what it compresses
        return Mixer.FULL
    return Mixer.SLIDING if window(fields) else Mixer.FULL


def window(fields: Fields) -> int | None:
    """How far sliding layers look back; None when the config switches them off."""
    if not fields.flag("use_sliding_window", default=True):
        return None
    return fields.integer("sliding_window", "sliding_window_size", "attention_window") or None


def _listed(fields: Fields, count: int) -> tuple[Mixer, ...]:
    value = fields.value("layer_types", "layers_block_type", "block_types")
    if isinstance(value, Mapping):
        return _counted(value, count)
    if not isinstance(value, list):
        return ()
    found = tuple(_WORDS.get(str(word).lower(), Mixer.FULL) for word in value)
    if Mixer.SLIDING in found and not window(fields):
        return tuple(Mixer.FULL if mixer is Mixer.SLIDING else mixer for mixer in found)
    return found


def _counted(value: Mapping[str, Any], count: int) -> tuple[Mixer, ...]:
    """Only how many of each kind there are: spread the rarer evenly, as models do."""
    counts = value.get("counts", value)
    if not isinstance(counts, Mapping):
        return ()
    kinds = [
        (_WORDS.get(str(word).lower(), Mixer.FULL), number)
        for word, number in counts.items()
        if isinstance(number, int)
    ]
    kinds.sort(key=lambda kind: kind[1])
    if not kinds or sum(number for _, number in kinds) != count:
        return ()
    layers = [kinds[-1][0]] * count
    for back, (kind, number) in enumerate(kinds[:-1]):
        for index in range(number):
            layers[(index + 1) * count // number - 1 - back] = kind
    return tuple(layers)


def _lettered(fields: Fields, count: int) -> tuple[Mixer, ...]:
    letters = fields.text("hybrid_override_pattern")
    return tuple(_LETTERS[letter] for letter in letters if letter in _LETTERS)


def _kimi(fields: Fields, count: int) -> tuple[Mixer, ...]:
    """Kimi-Linear numbers its full-attention layers, from one; others number theirs from zero."""
    linear = Fields(fields.mapping("linear_attn_config"))
    full = set(linear.integers("full_attn_layers"))
    if full:
        return tuple(Mixer.FULL if i + 1 in full else Mixer.RECURRENT for i in range(count))
    attention = set(fields.integers("attn_layer_indices", "full_attn_idxs"))
    if attention:
        return tuple(Mixer.FULL if i in attention else Mixer.RECURRENT for i in range(count))
    return ()


def _numbered(fields: Fields, count: int) -> tuple[Mixer, ...]:
    """A number for each: MiniMax's 0 is recurrent, MiMo's 1 slides, Llama 4's 1 has a chunk."""
    kinds = fields.integers("attn_type_list")
    if kinds and 0 in kinds:
        return tuple(Mixer.FULL if kind else Mixer.RECURRENT for kind in kinds)
    sliding = fields.integers("hybrid_layer_pattern")
    if sliding:
        return tuple(Mixer.SLIDING if kind else Mixer.FULL for kind in sliding)
    if not fields.integer("attention_chunk_size") or not _is_llama4(fields):
        return ()
    roped = fields.integers("no_rope_layers")
    if not roped:
        every = fields.integer("no_rope_layer_interval", default=4)
        roped = tuple(int((i + 1) % every != 0) for i in range(count))
    return tuple(Mixer.CHUNKED if kind else Mixer.FULL for kind in roped)


def _is_llama4(fields: Fields) -> bool:
    return "llama4" in family(fields)


def _periodic(fields: Fields, count: int) -> tuple[Mixer, ...]:
    """Every n-th layer is a full one."""
    period = fields.integer("attn_layer_period")
    if period:  # Jamba
        offset = fields.integer("attn_layer_offset")
        return tuple(Mixer.FULL if i % period == offset else Mixer.RECURRENT for i in range(count))
    if fields.integer("linear_num_value_heads") or fields.integer("full_attention_interval"):
        every = fields.integer("full_attention_interval") or 4
        return tuple(Mixer.FULL if (i + 1) % every == 0 else Mixer.RECURRENT for i in range(count))
    if window(fields) is None:
        return ()
    every = fields.integer("sliding_window_pattern", "_sliding_window_pattern")
    every = every or _ALTERNATING.get(family(fields), 0)
    if not every:
        return ()
    return tuple(Mixer.FULL if (i + 1) % every == 0 else Mixer.SLIDING for i in range(count))


def _fit(found: tuple[Mixer, ...], count: int) -> tuple[Mixer, ...]:
    """As many as there are layers: a list that is too short repeats."""
    return (found * (count // len(found) + 1))[:count]
