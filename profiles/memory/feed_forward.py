"""The feed-forward part of each layer: dense, experts, both, or none."""

from collections.abc import Callable

from profiles.memory.fields import Fields, family
from profiles.memory.layers import FeedForward

# Two matrices instead of three: no gate.
_UNGATED = (
    "bert", "bloom", "camembert", "codegen", "distilbert", "electra", "falcon", "gpt2",
    "gpt_bigcode", "gpt_neox", "gptj", "mpnet", "mpt", "nemotron", "nemotron_h", "opt",
    "persimmon", "phi", "refinedweb", "refinedwebmodel", "roberta", "starcoder2", "whisper",
    "xlm-roberta",
)  # fmt: skip


def feed_forwards(fields: Fields, count: int, hidden: int) -> tuple[FeedForward | None, ...]:
    """What each of the `count` layers has."""
    dense = FeedForward(dense=_dense_size(fields, hidden), matrices=_matrices(fields))
    letters = [letter for letter in fields.text("hybrid_override_pattern") if letter in "m*-e"]
    experts = _experts(fields, dense) if _expert_count(fields) > 1 else dense
    if letters:  # Nemotron-H: a layer is one thing only
        kinds: dict[str, FeedForward | None] = {"-": dense, "e": experts}
        listed = tuple(kinds.get(letter) for letter in letters)
        return (listed * (count // len(listed) + 1))[:count]
    if family(fields) in ("mamba", "mamba2", "falcon_mamba"):
        return (None,) * count
    has_experts = _has_experts(fields)
    return tuple(experts if has_experts(index) else dense for index in range(count))


def _matrices(fields: Fields) -> int:
    return 2 if family(fields) in _UNGATED else 3


def _expert_count(fields: Fields) -> int:
    nested = Fields(fields.mapping("ffn_config"))  # DBRX
    return fields.integer(
        "num_experts", "n_routed_experts", "num_local_experts", "moe_num_experts"
    ) or nested.integer("moe_num_experts")


def _dense_size(fields: Fields, hidden: int) -> int:
    """Llama 4 has another size for its dense layers; Granite's hybrids call theirs shared."""
    found = fields.integer("intermediate_size_mlp", "intermediate_size", "ffn_hidden_size")
    found = found or fields.integer(
        "n_inner", "d_ff", "ffn_dim", "decoder_ffn_dim", "shared_intermediate_size"
    )
    if found:
        return found
    return 0 if _expert_count(fields) > 1 else 4 * hidden


def _experts(fields: Fields, dense: FeedForward) -> FeedForward:
    nested = Fields(fields.mapping("ffn_config"))
    size = fields.integer(
        "moe_intermediate_size",
        "expert_ffn_hidden_size",
        "moe_ffn_hidden_size",
        "intermediate_size",
    ) or nested.integer("ffn_hidden_size", default=dense.dense)
    per_token = fields.integer(
        "num_experts_per_tok", "experts_per_token", "num_experts_per_token", "top_k_experts",
        "moe_topk", "moe_k",
    )  # fmt: skip
    return FeedForward(
        # Gemma 4 adds its experts to a dense part.
        dense=dense.dense if family(fields).startswith("gemma4") else 0,
        matrices=dense.matrices,
        experts=_expert_count(fields),
        expert_size=size,
        expert_width=fields.integer("moe_latent_size"),
        shared=_shared_size(fields, size),
        experts_per_token=per_token or nested.integer("moe_top_k", default=2),
    )


def _shared_size(fields: Fields, size: int) -> int:
    one = fields.integer(
        "shared_expert_intermediate_size", "moe_shared_expert_intermediate_size",
        "shared_intermediate_size",
    )  # fmt: skip
    count = fields.integer("n_shared_experts", "num_shared_experts", "moe_num_shared_experts")
    if "llama4" in family(fields):
        count = 1
    return one * max(count, 1) if one else count * size


def _has_experts(fields: Fields) -> Callable[[int], bool]:
    """Which layers have experts, in the many ways there are to say it."""
    words = fields.value("mlp_layer_types")
    if isinstance(words, list) and words:
        return lambda index: index < len(words) and words[index] == "sparse"
    for name in ("moe_layers", "moe_layer_indices"):
        listed = set(fields.integers(name))
        if listed:
            return listed.__contains__
    flags = fields.integers("moe_layer_freq")
    if len(flags) > 1:
        return lambda index: index < len(flags) and flags[index] > 0
    dense = set(fields.integers("mlp_only_layers"))
    first = fields.integer("first_k_dense_replace", "moe_layer_start_index", "num_dense_layers")
    period, offset = _period(fields)
    return lambda index: index >= first and index not in dense and index % period == offset % period


def _period(fields: Fields) -> tuple[int, int]:
    """Every how many layers, and the first of them."""
    every = fields.integer("expert_layer_period")  # Jamba
    if every:
        return every, fields.integer("expert_layer_offset")
    every = fields.integer("interleave_moe_layer_step", "decoder_sparse_step")
    if every:
        return every, every - 1
    return max(1, fields.integer("moe_layer_freq", "moe_layer_interval", default=1)), 0
