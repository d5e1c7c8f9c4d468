"""What a tensor's name says: its layer, its role, and how ranks share it."""

import re

from profiles.memory.blocks import Role, Split

_LAYER = re.compile(r"(?:^|\.)(?:layers|layer|h|blocks)\.(\d+)\.")
_TOWER = re.compile(
    r"visual|vision|image_|img_|patch_merger|pre_mm_projector|multi_modal|mm_projector|mlp1\."
    r"|audio|speech|encoder\.conv|embed_vision|aligner|projector\."
)
_NEXT_TOKEN = re.compile(r"(?:^|\.)(?:mtp|nextn|model_nextn)(?:\.|_)|\.eh_proj|\.enorm|\.hnorm")
_RULES: tuple[tuple[re.Pattern[str], Role, Split], ...] = tuple(
    (re.compile(pattern), role, split)
    for pattern, role, split in (
        (r"lm_head|embed_out|^output\.", Role.HEAD, Split.EVENLY),
        (
            r"embed_tokens|word_embeddings|\bwte\b|tok_embeddings|embed_in\b|^embeddings?\.",
            Role.EMBEDDING,
            Split.EVENLY,
        ),
        (r"position_embeddings|\bwpe\b|embed_positions", Role.OTHER, Split.WHOLE),
        (r"shared_expert_gate|\.gate\.|router|e_score", Role.ROUTER, Split.WHOLE),
        (r"shared_expert", Role.SHARED_EXPERT, Split.EVENLY),
        (r"experts", Role.EXPERT, Split.EVENLY),
        (r"norm|ln_\d|ln_f", Role.NORM, Split.WHOLE),
        (r"indexer|q_a_proj|kv_a_proj", Role.ATTENTION, Split.WHOLE),
        (r"linear_attn|mamba|mixer|conv|\bA_log|dt_bias", Role.RECURRENCE, Split.EVENLY),
        (r"\b(k_proj|v_proj|wk|wv|key|value)\b", Role.ATTENTION, Split.BY_KV_HEAD),
        (r"attn|attention|\bwq\b|\bwo\b", Role.ATTENTION, Split.EVENLY),
        (r"mlp|feed_forward|ffn|dense|fc\d|\bw[123]\b|intermediate", Role.DENSE, Split.EVENLY),
    )
)
FUSED = re.compile(r"qkv|query_key_value|W_pack|c_attn|Wqkv")


def layer_of(name: str) -> int | None:
    """The number of the decoder layer a tensor belongs to."""
    found = _LAYER.search(name)
    return int(found.group(1)) if found else None


def is_tower(name: str) -> bool:
    """Whether it is part of an encoder of images or sound."""
    return _TOWER.search(name) is not None


def is_next_token(name: str) -> bool:
    """Whether it belongs to an MTP layer, which vLLM loads only to speculate."""
    return _NEXT_TOKEN.search(name) is not None


def role_of(name: str) -> tuple[Role, Split]:
    """What a tensor of the language model is for."""
    for pattern, role, split in _RULES:
        if pattern.search(name):
            return role, split
    return Role.OTHER, Split.WHOLE
