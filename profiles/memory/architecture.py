"""Reads the language model out of a config: its layers, its vocabulary, its lengths."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from profiles.memory.attention import full_attention, local_attention
from profiles.memory.feed_forward import feed_forwards
from profiles.memory.fields import Fields, audio_config, family, text_fields, vision_config
from profiles.memory.layers import Attention, Layer, Mixing
from profiles.memory.pattern import Mixer, mixers
from profiles.memory.recurrent import recurrence

_ENCODERS = ("bert", "roberta", "electra", "mpnet", "deberta", "siglip", "clip", "vit", "gte")
_BIDIRECTIONAL = ("is_bidirectional", "use_bidirectional_attention")
_TIED = (
    "gemma", "gpt2", "cohere", "bloom", "opt", "falcon", "gpt_bigcode", "whisper", "mpt",
    "modernbert", "bart", "mbart", "t5", "smollm3", "starcoder2", "zamba", "lfm2", "ernie4_5",
)  # fmt: skip
_NOT_TIED = ("falcon_h1",)
# Their embeddings of positions are weights, one vector for each.
_LEARNED_POSITIONS = ("gpt2", "gpt_bigcode", "opt", "bert", "roberta", "xlm-roberta", "electra")
_LENGTHS = (
    "max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "model_max_length",
    "max_target_positions", "max_sequence_length", "max_seq_length", "seq_len",
)  # fmt: skip
_MOST_LAYERS = 1000
_SHORTEST_GUESS = 2048  # vLLM's own, where a config names no length


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """The language model."""

    name: str
    model_type: str
    hidden: int
    vocabulary: int
    layers: tuple[Layer, ...]
    next_token_layers: int  # MTP layers in the files, which vLLM loads only to speculate
    has_tied_embeddings: bool
    has_head: bool  # a language model's head; embedding models have none
    has_cache: bool
    learned_positions: int
    layer_embedding: int  # width of Gemma's per-layer embeddings
    layer_vocabulary: int
    heads: int
    kv_heads: int
    head_dim: int
    rotary_dim: int
    max_positions: int
    rotary_scale: float
    max_model_len: int
    doubts: tuple[str, ...]  # sentences about what had to be guessed

    @property
    def is_moe(self) -> bool:
        """Whether any layer has experts."""
        return any(layer.feed_forward and layer.feed_forward.experts for layer in self.layers)


def read_architecture(config: Mapping[str, Any], *, dtype_bytes: int) -> Architecture:
    """The language model a config describes; doubtful where the config says too little."""
    fields = text_fields(config)
    root = Fields(config)
    doubts: list[str] = []
    if root.flag("is_encoder_decoder"):
        doubts.append(
            "it is an encoder and a decoder, whose cross-attention's cache is not counted"
        )
    hidden = _required(fields, doubts, "hidden_size", "n_embd", "d_model", "dim", guess=4096)
    guess = max(1, hidden // 128)
    count = _required(
        fields, doubts, "num_hidden_layers", "n_layer", "n_layers", "num_layers", guess=guess
    )
    if count > _MOST_LAYERS:
        doubts.append(f"the config speaks of {count} layers, {_MOST_LAYERS} are counted")
        count = _MOST_LAYERS
    vocabulary = _required(fields, doubts, "vocab_size", "padded_vocab_size", guess=32000)
    heads = fields.integer(
        "num_attention_heads",
        "n_head",
        "n_heads",
        "num_heads",
        "decoder_attention_heads",
        default=max(1, hidden // 128),
    )
    kv_heads = _kv_heads(fields, heads)
    head_dim = fields.integer("head_dim", "hidden_size_per_head") or hidden // max(heads, 1)
    positions = _max_positions(fields)
    scale = _rotary_scale(fields, positions)
    kind = family(fields)
    return Architecture(
        name=_name(root),
        model_type=family(root),
        hidden=hidden,
        vocabulary=vocabulary,
        layers=_layers(fields, count, hidden, _Heads(heads, kv_heads, head_dim), dtype_bytes),
        next_token_layers=fields.integer(
            "num_nextn_predict_layers", "mtp_num_hidden_layers", "num_mtp_modules"
        ),
        has_tied_embeddings=_is_tied(fields, root, kind),
        has_head=not _has_no_head(config),
        has_cache=not _is_encoder(root, kind),
        learned_positions=positions if kind in _LEARNED_POSITIONS else 0,
        layer_embedding=fields.integer("hidden_size_per_layer_input"),
        layer_vocabulary=fields.integer("vocab_size_per_layer_input", default=vocabulary),
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        rotary_dim=_rotary_dim(fields, head_dim),
        max_positions=positions,
        rotary_scale=scale,
        max_model_len=int(positions * scale) if positions else _SHORTEST_GUESS,
        doubts=tuple(doubts),
    )


def _name(root: Fields) -> str:
    value = root.value("architectures")
    if isinstance(value, list) and value:
        return str(value[0])
    return str(value) if isinstance(value, str) else ""


def _required(fields: Fields, doubts: list[str], *names: str, guess: int) -> int:
    found = fields.integer(*names)
    if found > 0:
        return found
    doubts.append(f"the config has no {names[0]}, {guess} is a guess")
    return guess


def _kv_heads(fields: Fields, heads: int) -> int:
    is_falcon = family(fields) in ("falcon", "refinedweb", "refinedwebmodel")
    if is_falcon and not fields.flag("new_decoder_architecture"):
        return 1 if fields.flag("multi_query", default=True) else heads
    if fields.flag("multi_query"):  # StarCoder
        return fields.integer("num_kv_heads", "n_head_kv", default=1)
    nested = Fields(fields.mapping("attn_config"))  # DBRX
    return (
        fields.integer(
            "n_head_kv", "num_kv_heads", "num_key_value_heads", "multi_query_group_num",
            "num_attention_groups",
        )
        or nested.integer("kv_n_heads")
        or heads
    )  # fmt: skip


def _is_tied(fields: Fields, root: Fields, kind: str) -> bool:
    if "tie_word_embeddings" in fields:
        return fields.flag("tie_word_embeddings")
    # What transformers takes for granted where a config leaves it out.
    return kind == "mamba" or (kind.startswith(_TIED) and kind not in _NOT_TIED)


def _has_no_head(config: Mapping[str, Any]) -> bool:
    """Whether it embeds or classifies: transformers calls that a bare model."""
    name = _name(Fields(config))
    if name.endswith(("LMHeadModel", "ChatModel", "ChatGLMModel")):
        return False
    if vision_config(config) or audio_config(config):
        return False
    return name.endswith(("Model", "ForSequenceClassification", "ForTokenClassification"))


def _is_encoder(root: Fields, kind: str) -> bool:
    if any(root.flag(name) for name in _BIDIRECTIONAL):
        return True
    return any(word in kind for word in _ENCODERS) and not root.flag("is_decoder")


def _max_positions(fields: Fields) -> int:
    found = [number for name in _LENGTHS if (number := fields.integer(name)) > 0]
    return min(found, default=0)


def _rotary_scale(fields: Fields, positions: int) -> float:
    """How much longer than the config's positions vLLM lets sequences be (rope scaling)."""
    rope = Fields(fields.mapping("rope_scaling", "rope_parameters"))
    kind = rope.text("rope_type", "type")
    if not kind or kind in ("su", "longrope", "llama3", "default", "mrope", "proportional"):
        return 1.0
    factor = max(1.0, rope.number("factor", default=1.0))
    original = rope.integer("original_max_position_embeddings")
    if kind == "yarn" and original:
        return original * factor / positions if positions else 1.0
    if family(fields).startswith("gemma3"):
        return 1.0
    return factor


def _rotary_dim(fields: Fields, head_dim: int) -> int:
    latent = fields.integer("qk_rope_head_dim")
    if latent:
        return latent
    rope = Fields(fields.mapping("rope_parameters"))
    part = rope.number("partial_rotary_factor", default=1.0)
    return int(head_dim * fields.number("partial_rotary_factor", "rotary_pct", default=part))


class _Heads(NamedTuple):
    """Attention's usual three numbers."""

    queries: int
    cached: int
    dim: int


def _layers(
    fields: Fields, count: int, hidden: int, heads: _Heads, dtype_bytes: int
) -> tuple[Layer, ...]:
    usual = {"heads": heads.queries, "kv_heads": heads.cached, "head_dim": heads.dim}
    full = full_attention(fields, **usual)
    local = local_attention(fields, **usual)
    states = recurrence(fields, hidden=hidden, dtype_bytes=dtype_bytes)
    kinds: dict[Mixer, Mixing | None] = {
        Mixer.FULL: full,
        Mixer.SLIDING: local,
        Mixer.CHUNKED: local,
        Mixer.RECURRENT: states,
        Mixer.NONE: None,
    }
    owned = count - fields.integer("num_kv_shared_layers")
    varying = fields.integers("num_attention_heads_per_layer")  # Laguna
    parts = zip(mixers(fields, count), feed_forwards(fields, count, hidden), strict=True)
    return tuple(
        Layer(
            mixer=_varied(
                kinds[kind],
                heads=varying[index] if index < len(varying) else heads.queries,
                has_cache=index < owned,
            ),
            feed_forward=part,
        )
        for index, (kind, part) in enumerate(parts)
    )


def _varied(mixer: Mixing | None, *, heads: int, has_cache: bool) -> Mixing | None:
    """What differs from layer to layer."""
    if not isinstance(mixer, Attention) or (has_cache and mixer.heads == heads):
        return mixer
    return replace(mixer, heads=heads, shares_cache=not has_cache)
