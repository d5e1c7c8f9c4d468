"""How many bits a weight has: from a checkpoint's quantization config, or from a word.

Rates count the scales and zero points that stay in memory beside the weights (vLLM 0.32,
model_executor/layers/quantization).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from profiles.memory.blocks import Role
from profiles.memory.fields import Fields
from profiles.memory.ignored import ignored_roles

_LINEAR = frozenset({Role.ATTENTION, Role.RECURRENCE, Role.DENSE, Role.EXPERT, Role.SHARED_EXPERT})
# Linear attention stays in 16 bits in the usual recipes for 4-bit checkpoints, and routers always.
_LINEAR_BUT_RECURRENCE = _LINEAR - {Role.RECURRENCE}
_EXPERTS = frozenset({Role.EXPERT})

_FP8_BLOCK = 8 + 32 / (128 * 128)
_NVFP4 = 4 + 8 / 16
_MXFP4 = 4 + 8 / 32
_MXFP8 = 8 + 8 / 32
_NF4 = 4 + 32 / 64
_GROUP = 128
_MX_GROUP = 32
_BYTE_BITS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """What is quantized, and to what."""

    word: str  # as profiles spell it: "bf16", "fp8", "int4", "nvfp4", …
    method: str | None = None  # as vLLM spells it; None: not quantized
    bits: Mapping[Role, float] = field(default_factory=dict)  # of roles that are quantized
    has_fp8_cache: bool = False  # the checkpoint asks for FP8 keys and values
    pads_experts: bool = False  # MXFP4 kernels round the experts' sizes up
    is_assumed: bool = False  # the config does not say enough

    def bytes_of(self, role: Role, elements: float, dtype_bytes: int) -> float:
        """What so many weights take."""
        bits = self.bits.get(role)
        return elements * (dtype_bytes if bits is None else bits / 8)


def _rates(bits: float, roles: frozenset[Role] = _LINEAR) -> dict[Role, float]:
    return dict.fromkeys(roles, bits)


def _grouped(bits: int, group: int, *, has_zeros: bool) -> float:
    """Integers with a 16-bit scale, and maybe a zero point, for each group."""
    if group <= 0:  # one for each channel
        return float(bits)
    return bits + (16 + (bits if has_zeros else 0)) / group


def scheme_of_words(text: str, *, unquantized: str = "bf16") -> Scheme | None:
    """What somebody calls a quantization; None when the words say nothing about it."""
    words = text.lower()
    if re.search(r"fp4[\w ]*experts|experts[\w ]*fp4", words) and "fp8" in words:  # DeepSeek V4
        scheme = _fp8(words)
        return replace(scheme, bits={**scheme.bits, Role.EXPERT: _MXFP4})
    for pattern, make in _WORDS:
        if re.search(pattern, words):
            return _only_experts(make(words), words)
    if re.search(r"\b(none|bf16|bfloat16|fp16|float16|half|auto|unquantized)\b", words):
        return Scheme(word=unquantized)
    return None


def _only_experts(scheme: Scheme, words: str) -> Scheme:
    if not re.search(r"(routed|only|on)[\w ]* experts|experts[ -]only", words):
        return scheme
    return replace(scheme, bits={Role.EXPERT: scheme.bits.get(Role.EXPERT, 16.0)})


def _mxfp4(_: str) -> Scheme:
    return Scheme(word="mxfp4", method="mxfp4", bits=_rates(_MXFP4, _EXPERTS), pads_experts=True)


def _nvfp4(words: str) -> Scheme:
    method = "modelopt_fp4" if "modelopt" in words else "compressed-tensors"
    return Scheme(word="nvfp4", method=method, bits=_rates(_NVFP4, _LINEAR_BUT_RECURRENCE))


def _fp8(words: str) -> Scheme:
    rate = _MXFP8 if "mxfp8" in words else _FP8_BLOCK
    method = "compressed-tensors" if "compressed" in words else "fp8"
    return Scheme(
        word="fp8", method="modelopt" if "modelopt" in words else method, bits=_rates(rate)
    )


def _int8(words: str) -> Scheme:
    method = "bitsandbytes" if re.search(r"bitsandbytes|bnb", words) else "compressed-tensors"
    return Scheme(word="int8", method=method, bits=_rates(8.0))


def _nf4(words: str) -> Scheme:
    if re.search(r"8[ -]?bit|int8", words):
        return _int8(words)
    return Scheme(word="int4", method="bitsandbytes", bits=_rates(_NF4))


def _int4(words: str) -> Scheme:
    method = next((name for name in ("awq", "gptq") if name in words), "compressed-tensors")
    found = re.search(r"(?:^|[^a-z])g(?:roup)?[ _-]?(?:size)?[ _=-]?(\d{2,4})\b", words)
    group = int(found.group(1)) if found else _GROUP
    rate = _grouped(4, group, has_zeros=method == "awq")
    return Scheme(word="int4", method=method, bits=_rates(rate, _LINEAR_BUT_RECURRENCE))


def _gguf(words: str) -> Scheme:
    found = re.search(r"i?q(\d)", words)
    bits = int(found.group(1)) if found else 4
    return Scheme(word=f"int{bits}", method="gguf", bits=_rates(bits + 0.85))


def _unknown(words: str) -> Scheme:
    return replace(_fp8(words), is_assumed=True)


_WORDS = (
    (r"mxfp4", _mxfp4),
    (r"nvfp4|fp4", _nvfp4),
    (r"bitsandbytes|bnb|nf4", _nf4),
    (r"gguf|\bi?q\d_", _gguf),
    (r"w4a|int4|uint4|4[ -]?bit|awq|gptq|autoround|auto-round|auto_round", _int4),
    (r"fp8|float8|e4m3|e5m2", _fp8),
    (r"int8|w8a8|w8a16|8[ -]?bit|smoothquant", _int8),
    (r"compressed|modelopt|quark|torchao|\binc\b|quantized", _unknown),
)


def scheme_of_config(config: Mapping[str, Any], *, layers: int, unquantized: str) -> Scheme:
    """What a checkpoint's config says; `unquantized` is the word for its own precision."""
    section = _section(config)
    if section is None:
        return Scheme(word=unquantized)
    if isinstance(section, str):
        return scheme_of_words(section, unquantized=unquantized) or _unknown(section)
    fields = Fields(section, _mapping(section.get("quantization")))
    scheme = _structured(fields)
    if scheme is None:
        said = " ".join(str(value) for value in section.values() if isinstance(value, str))
        scheme = scheme_of_words(said, unquantized=unquantized) or _unknown(said)
    experts = str(section.get("expert_dtype") or config.get("expert_dtype") or "")
    if "fp4" in experts:  # DeepSeek V4
        scheme = replace(scheme, bits={**scheme.bits, Role.EXPERT: _MXFP4})
    ignored = ignored_roles(fields, layers=layers)
    if scheme.word == "nvfp4" and "kv_lora_rank" in Fields(config):
        ignored |= {Role.ATTENTION}  # NVIDIA's own checkpoints of MLA models keep it in 16 bits
    kept = {role: bits for role, bits in scheme.bits.items() if role not in ignored}
    return replace(
        scheme,
        method=fields.text("quant_method") or scheme.method,
        bits=kept,
        has_fp8_cache=_has_fp8_cache(fields),
    )


def _section(config: Mapping[str, Any]) -> Mapping[str, Any] | str | None:
    places = [config]
    places += [inner for name in ("text_config", "llm_config") if (inner := config.get(name))]
    for place in places:
        if isinstance(place, Mapping):
            found = place.get("quantization_config") or place.get("compression_config")
            if isinstance(found, Mapping | str) and found:
                return found
    return None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _has_fp8_cache(fields: Fields) -> bool:
    if "fp8" in fields.text("kv_cache_quant_algo"):
        return True
    cache = Fields(fields.mapping("kv_cache_scheme"))
    return cache.integer("num_bits") == _BYTE_BITS


def _structured(fields: Fields) -> Scheme | None:
    """From fields whose meaning is fixed; None where only words are left."""
    method = fields.text("quant_method").replace("_", "-")
    groups = fields.mapping("config_groups")
    if groups:
        return _compressed(groups)
    algorithm = fields.text("quant_algo")
    if algorithm:
        found = scheme_of_words(f"modelopt {algorithm}")
        return found and replace(found, method=found.method)
    if method in ("awq", "gptq", "auto-round", "inc", "gptq-marlin", "awq-marlin"):
        return _integers(fields, method)
    if method == "bitsandbytes":
        is_small = not fields.flag("load_in_8bit")
        return _nf4("nf4") if is_small else _int8("bitsandbytes 8bit")
    if method == "quark":
        weight = Fields(Fields(fields.mapping("global_quant_config")).mapping("weight"))
        return scheme_of_words(weight.text("dtype")) if weight.text("dtype") else None
    return None


def _integers(fields: Fields, method: str) -> Scheme:
    bits = max(1, fields.integer("bits", "w_bit", default=4))
    group = fields.integer("group_size", "q_group_size", default=_GROUP)
    has_zeros = fields.flag("zero_point", default=method.startswith("awq"))
    rate = _grouped(bits, group, has_zeros=has_zeros)
    return Scheme(word=f"int{bits}", method=method, bits=_rates(rate, _LINEAR_BUT_RECURRENCE))


def _compressed(groups: Mapping[str, Any]) -> Scheme | None:
    """llm-compressor: groups of modules with a format each; the narrowest names the whole."""
    found = [
        scheme
        for group in groups.values()
        if isinstance(group, Mapping)
        and (scheme := _compressed_group(Fields(_mapping(group.get("weights")))))
    ]
    return min(found, key=lambda scheme: max(scheme.bits.values()), default=None)


def _compressed_group(weights: Fields) -> Scheme | None:
    bits = weights.integer("num_bits")
    if bits < 1:
        return None
    group = weights.integer("group_size")
    if weights.text("type") == "float":
        return replace(_floats(bits, group), method="compressed-tensors")
    has_zeros = not weights.flag("symmetric", default=True)
    rate = _grouped(bits, group, has_zeros=has_zeros)
    return Scheme(word=f"int{bits}", method="compressed-tensors", bits=_rates(rate))


def _floats(bits: int, group: int) -> Scheme:
    """Microscaling formats have a scale for every 32."""
    is_microscaled = group == _MX_GROUP
    if bits < _BYTE_BITS:
        if is_microscaled:
            return replace(_mxfp4(""), bits=_rates(_MXFP4))
        return replace(_nvfp4(""), bits=_rates(_NVFP4))
    return replace(_fp8(""), bits=_rates(_MXFP8 if is_microscaled else _FP8_BLOCK))
