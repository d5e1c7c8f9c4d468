"""The attention of a model's full and of its local layers."""

from profiles.memory.fields import Fields, family
from profiles.memory.layers import Attention, LatentAttention
from profiles.memory.pattern import window

_GATED = ("qwen3_next", "qwen3_5", "qwen3_5_moe", "qwen3_5_text", "qwen3_5_moe_text")


def full_attention(
    fields: Fields, *, heads: int, kv_heads: int, head_dim: int
) -> Attention | LatentAttention:
    """The layers that look back to the start."""
    if fields.integers("compress_ratios"):
        return _compressed(fields, heads, head_dim)
    kv_rank = fields.integer("kv_lora_rank")
    if kv_rank:
        return _latent(fields, heads, kv_rank)
    wide = fields.integer("global_head_dim", default=head_dim)  # Gemma 4
    is_shared = fields.flag("attention_k_eq_v")
    few = fields.integer("num_global_key_value_heads", default=kv_heads) if is_shared else kv_heads
    return Attention(
        heads=heads,
        kv_heads=few,
        head_dim=wide,
        value_dim=fields.integer("v_head_dim", default=wide),
        has_output_gate=_has_gate(fields),
        has_value_projection=not is_shared,
    )


def local_attention(fields: Fields, *, heads: int, kv_heads: int, head_dim: int) -> Attention:
    """The layers that look back a window, or to the start of their chunk."""
    dim = fields.integer("swa_head_dim", default=head_dim)  # MiMo
    look_back = window(fields)
    return Attention(
        heads=fields.integer("swa_num_attention_heads", default=heads),
        kv_heads=fields.integer("swa_num_key_value_heads", default=kv_heads),
        head_dim=dim,
        value_dim=fields.integer("swa_v_head_dim", "v_head_dim", default=dim),
        window=look_back,
        chunk=None if look_back else fields.integer("attention_chunk_size") or None,
        has_output_gate=_has_gate(fields),
    )


def _has_gate(fields: Fields) -> bool:
    return fields.flag("attn_output_gate", default=family(fields) in _GATED)


def _latent(fields: Fields, heads: int, kv_rank: int) -> LatentAttention:
    nope = fields.integer("qk_nope_head_dim", default=128)
    is_sparse = fields.integer("index_topk") > 0
    return LatentAttention(
        heads=heads,
        query_rank=fields.integer("q_lora_rank"),
        kv_rank=kv_rank,
        rope_dim=fields.integer("qk_rope_head_dim", default=64),
        nope_dim=nope,
        value_dim=fields.integer("v_head_dim", default=nope),
        index_heads=fields.integer("index_n_heads", default=64) if is_sparse else 0,
        index_dim=fields.integer("index_head_dim", default=128) if is_sparse else 0,
    )


def _compressed(fields: Fields, heads: int, head_dim: int) -> LatentAttention:
    """DeepSeek V4: one vector is key and value of several tokens; the model's average of them."""
    ratios = fields.integers("compress_ratios")
    kept = sum(1 / ratio for ratio in ratios if ratio) / len(ratios)
    rope = fields.integer("qk_rope_head_dim", default=64)
    return LatentAttention(
        heads=heads,
        query_rank=fields.integer("q_lora_rank"),
        kv_rank=head_dim - rope,
        rope_dim=rope,
        nope_dim=head_dim - rope,
        value_dim=head_dim,
        index_heads=fields.integer("index_n_heads"),
        index_dim=fields.integer("index_head_dim"),
        compression=round(1 / kept) if kept else 0,
        output_rank=fields.integer("o_lora_rank", default=1024),
        output_groups=fields.integer("o_groups", default=1),
    )
