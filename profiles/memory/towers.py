"""Encoders of images and sound: how many weights, and how they are shared."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from profiles.memory.fields import Fields, audio_config, family, vision_config

_GATED = ("pixtral", "qwen2_5", "gemma4", "glm4v", "glm_ocr", "mistral3")
# vLLM gives each rank a whole copy (models/pixtral.py).
_REPLICATED = ("pixtral", "mistral3")

_SIGLIP = {1152: 4304}  # so400m's own intermediate size


@dataclass(frozen=True, slots=True, kw_only=True)
class Tower:
    """What a multimodal model has beside its language model."""

    elements: int = 0
    is_replicated: bool = False
    width: int = 0
    intermediate: int = 0
    patches_per_token: int = 1
    largest_item_tokens: int = 0  # of the largest image


def read_tower(config: Mapping[str, Any], hidden: int) -> Tower:
    """The model's encoders; all zero for a text model."""
    vision, audio = vision_config(config), audio_config(config)
    if Fields(config).flag("is_encoder_decoder"):
        return Tower(elements=_encoder_elements(Fields(config), hidden))
    if not vision and not audio:
        return Tower()
    kind = family(Fields(vision)) if vision else ""
    whole = family(Fields(config))
    is_replicated = any(word in kind or word in whole for word in _REPLICATED)
    fields = Fields(vision)
    width, depth, intermediate = _sizes(fields)
    merge = _merge(fields, kind or whole)
    return Tower(
        elements=_vision_elements(fields, kind or whole, hidden) + _audio_elements(Fields(audio)),
        is_replicated=is_replicated,
        width=width if depth else 0,
        intermediate=intermediate,
        patches_per_token=merge * merge,
        largest_item_tokens=_largest_item(Fields(config), fields, whole),
    )


def _sizes(fields: Fields) -> tuple[int, int, int]:
    width = fields.integer(
        "embed_dim", "vt_hidden_size", "width", "hidden_size", "vision_hidden_size"
    )
    depth = fields.integer(
        "depth", "num_hidden_layers", "vt_num_hidden_layers", "num_layers", "layers", "n_layers"
    )
    ratio = fields.number("mlp_ratio", default=4.0)
    default = _SIGLIP.get(width) or int(width * ratio)
    return (
        width,
        depth,
        fields.integer("intermediate_size", "vt_intermediate_size", default=default),
    )


def _merge(fields: Fields, kind: str) -> int:
    default = 2 if "qwen" in kind or "glm4" in kind else 1
    return fields.integer("spatial_merge_size", "merge_size", "merge_kernel_size", default=default)


def _vision_elements(fields: Fields, kind: str, hidden: int) -> int:
    width, depth, intermediate = _sizes(fields)
    if not width or not depth:
        return 0
    matrices = 3 if any(word in kind for word in _GATED) else 2
    layer = 4 * width * width + matrices * width * intermediate
    patch = max(1, fields.integer("patch_size", default=14))
    patches = 3 * fields.integer("temporal_patch_size", default=1) * patch * patch * width
    side = fields.integer("image_size", default=patch * 32) // patch
    merged = width * _merge(fields, kind) ** 2
    joints = 1
    if "qwen3_vl" in kind or "qwen3vl" in kind:
        deep = fields.value("deepstack_visual_indexes")
        joints += len(deep) if isinstance(deep, list) else 3
    out = fields.integer("out_hidden_size", default=hidden)
    joined = joints * (merged * merged + merged * out)
    return depth * layer + patches + side * side * width + joined


def _audio_elements(fields: Fields) -> int:
    width = fields.integer("d_model", "hidden_size")
    depth = fields.integer("encoder_layers", "num_hidden_layers")
    intermediate = fields.integer("encoder_ffn_dim", "intermediate_size", default=4 * width)
    return depth * (4 * width * width + 2 * width * intermediate)


def _encoder_elements(fields: Fields, width: int) -> int:
    """An encoder before the decoder (Whisper), and the decoder's attention to it."""
    crossing = fields.integer("decoder_layers", "num_hidden_layers") * 4 * width * width
    return _audio_elements(fields) + crossing


def _largest_item(root: Fields, fields: Fields, kind: str) -> int:
    """Tokens of the largest image that vLLM profiles with."""
    given = root.integer("mm_tokens_per_image", "image_seq_length")
    if given:
        return given
    if "qwen" in kind or "glm4" in kind:
        return 16384  # the processors' longest_edge of 12.8 M pixels, merged
    patch = max(1, fields.integer("patch_size", default=14) * _merge(fields, kind))
    side = fields.integer("image_size", default=672) // patch
    return side * side
