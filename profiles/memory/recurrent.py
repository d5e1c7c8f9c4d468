"""The layers that keep one state for each request: Mamba 1 and 2, gated delta net, KDA,
lightning attention, short convolution. Shapes after vLLM 0.32, mamba/mamba_utils.py.
"""

from profiles.memory.fields import Fields, family
from profiles.memory.layers import Recurrence

_FLOAT_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2, "auto": 0}


def recurrence(fields: Fields, *, hidden: int, dtype_bytes: int) -> Recurrence:
    """The model's recurrent layer; they are all alike."""
    if fields.mapping("linear_attn_config"):
        return _kimi_delta(Fields(fields.mapping("linear_attn_config")), hidden)
    if fields.integer("linear_num_value_heads"):
        return _gated_delta_net(fields, hidden, dtype_bytes)
    if fields.integer("conv_L_cache"):
        return _short_convolution(fields, hidden, dtype_bytes)
    if fields.integer("attn_type_list"):
        return _lightning(fields, hidden, dtype_bytes)
    if fields.integer("mamba_num_heads", "mamba_n_heads", "n_mamba_heads", "num_heads"):
        return _mamba2(fields, hidden, dtype_bytes)
    return _mamba1(fields, hidden, dtype_bytes)


def _state_bytes(fields: Fields, default: int) -> int:
    word = fields.text("mamba_ssm_dtype", "mamba_ssm_cache_dtype")
    return _FLOAT_BYTES.get(word, 0) or default


def _gated_delta_net(fields: Fields, hidden: int, dtype_bytes: int) -> Recurrence:
    value_heads = fields.integer("linear_num_value_heads")
    key_heads = fields.integer("linear_num_key_heads", default=value_heads)
    key_dim = fields.integer("linear_key_head_dim", default=128)
    value_dim = fields.integer("linear_value_head_dim", default=128)
    kernel = fields.integer("linear_conv_kernel_dim", default=4)
    keys, values = key_heads * key_dim, value_heads * value_dim
    mixed = 2 * keys + values
    # Qwen3.5's configs ask for a float32 state; Qwen3-Next leaves it to the model's dtype.
    default = 4 if "qwen3_5" in family(fields) else dtype_bytes
    return Recurrence(
        weights=hidden * (mixed + values + 2 * value_heads) + mixed * kernel + values * hidden,
        convolution=mixed * (kernel - 1),
        state=value_heads * value_dim * key_dim,
        state_bytes=_state_bytes(fields, default),
    )


def _kimi_delta(linear: Fields, hidden: int) -> Recurrence:
    heads = linear.integer("num_heads", default=32)
    dim = linear.integer("head_dim", default=128)
    kernel = linear.integer("short_conv_kernel_size", default=4)
    width = heads * dim
    low_rank = 2 * (hidden * dim + dim * width)  # decay and output gate
    return Recurrence(
        weights=4 * hidden * width + low_rank + hidden * heads + 3 * width * kernel,
        convolution=3 * width * (kernel - 1),
        state=heads * dim * dim,
        state_bytes=4,
    )


def _short_convolution(fields: Fields, hidden: int, dtype_bytes: int) -> Recurrence:
    width = fields.integer("conv_dim", default=hidden)
    kernel = fields.integer("conv_L_cache", default=3)
    return Recurrence(
        weights=3 * hidden * width + width * kernel + width * hidden,
        convolution=width * (kernel - 1),
        state=0,
        state_bytes=dtype_bytes,
    )


def _lightning(fields: Fields, hidden: int, dtype_bytes: int) -> Recurrence:
    heads = max(1, fields.integer("num_attention_heads"))
    dim = fields.integer("head_dim", default=hidden // heads)
    return Recurrence(
        weights=5 * hidden * heads * dim,  # query, key, value, output, output gate
        convolution=0,
        state=heads * dim * dim,
        state_bytes=_state_bytes(fields, dtype_bytes),
    )


def _mamba2(fields: Fields, hidden: int, dtype_bytes: int) -> Recurrence:
    heads = fields.integer("mamba_num_heads", "mamba_n_heads", "n_mamba_heads", "num_heads")
    expand = fields.integer("mamba_expand", "expand", default=2)
    dim = fields.integer("mamba_head_dim", "mamba_d_head", "mamba_headdim", "head_dim")
    width = heads * dim if dim else expand * hidden
    dim = dim or width // max(heads, 1)
    groups = fields.integer("n_groups", "mamba_n_groups", "mamba_ngroups", default=1)
    size = fields.integer("ssm_state_size", "mamba_d_state", "state_size", default=128)
    kernel = fields.integer("conv_kernel", "mamba_d_conv", default=4)
    mixed = width + 2 * groups * size
    return Recurrence(
        weights=hidden * (width + mixed + heads) + mixed * kernel + width * hidden,
        convolution=mixed * (kernel - 1),
        state=heads * dim * size,
        # vLLM keeps Nemotron-H's state in float32 unless its config says otherwise.
        state_bytes=_state_bytes(fields, 4 if "nemotron" in family(fields) else dtype_bytes),
    )


def _mamba1(fields: Fields, hidden: int, dtype_bytes: int) -> Recurrence:
    expand = fields.integer("mamba_expand", "expand", default=2)
    width = expand * hidden
    if family(fields) in ("mamba", "falcon_mamba"):
        width = fields.integer("intermediate_size", default=width)
    size = fields.integer("mamba_d_state", "state_size", default=16)
    rank = fields.integer("mamba_dt_rank", "time_step_rank", default=-(-hidden // 16))
    kernel = fields.integer("mamba_d_conv", "conv_kernel", default=4)
    projections = 2 * hidden * width + width * (rank + 2 * size) + rank * width + width * hidden
    return Recurrence(
        weights=projections + width * (kernel + size),
        convolution=width * (kernel - 1),
        state=width * size,
        state_bytes=_state_bytes(fields, dtype_bytes),
    )
