"""Which roles a checkpoint leaves unquantized, from its lists of modules to skip."""

import re
from fnmatch import fnmatchcase

from profiles.memory.blocks import Role
from profiles.memory.fields import Fields

_LISTS = (
    "ignore",
    "ignored_layers",
    "modules_to_not_convert",
    "exclude_modules",
    "llm_int8_skip_modules",
)
# One module of each role, as the usual families call it, without what stands before "layers".
_EXAMPLES: dict[Role, tuple[str, ...]] = {
    Role.ATTENTION: ("self_attn.o_proj", "self_attn.qkv_proj", "self_attn.kv_b_proj"),
    Role.RECURRENCE: ("linear_attn.out_proj", "mamba.out_proj", "mixer.out_proj"),
    Role.DENSE: ("mlp.down_proj", "feed_forward.down_proj"),
    Role.EXPERT: ("mlp.experts.7.down_proj", "mlp.experts", "block_sparse_moe.experts.7.w2"),
    Role.SHARED_EXPERT: ("mlp.shared_experts.down_proj", "mlp.shared_expert.down_proj"),
}
_PREFIXES = ("model.", "model.language_model.", "language_model.model.", "")


def ignored_roles(fields: Fields, *, layers: int) -> frozenset[Role]:
    """The roles whose modules in the middle of the model are on the list."""
    patterns = [
        str(pattern)
        for name in _LISTS
        if isinstance(listed := fields.value(name), list)
        for pattern in listed
    ]
    if not patterns:
        return frozenset()
    where = f"layers.{layers // 2}."
    return frozenset(
        role
        for role, examples in _EXAMPLES.items()
        if any(
            _matches(pattern, prefix + where + example)
            for example in examples
            for prefix in _PREFIXES
            for pattern in patterns
        )
    )


def _matches(pattern: str, module: str) -> bool:
    if pattern.startswith("re:"):
        try:
            return re.match(pattern[3:], module) is not None
        except re.error:
            return False
    if "*" in pattern:
        return fnmatchcase(module, pattern) or fnmatchcase(module, pattern + ".*")
    if "." in pattern:
        return module == pattern or module.startswith(pattern + ".")
    return pattern in module.split(".")
