"""The words for precisions: how wide they are, and what the engine can make while it loads."""

from profiles.hardware import Gpu, has_native_precision, supports_precision

# Bits of a weight. "Lower precision first" compares these.
BITS = {
    "fp32": 32, "bf16": 16, "fp16": 16,
    "fp8": 8, "mxfp8": 8, "int8": 8,
    "nvfp4": 4, "mxfp4": 4, "fp4": 4, "int4": 4,
}  # fmt: skip
_UNKNOWN_BITS = 16


def bits(precision: str) -> int:
    """Bits of a weight; a word we do not know counts as 16."""
    return BITS.get(precision, _UNKNOWN_BITS)


def unsupported(precision: str, gpu: Gpu, *, quantizes: bool) -> str | None:
    """Why the GPU cannot have this precision, as a sentence, or None.

    `quantizes`: the engine makes it from a wider checkpoint. Without arithmetic of that width this
    saves memory but costs time (Qwen3-32B on A100: 1563 tokens/s with FP8, 1731 with BF16;
    gpustack/gpustack@10e9444:docs/performance-lab/qwen3-32b/a100.md), so it has to be native.
    """
    capability = ".".join(map(str, gpu.compute_capability))
    if quantizes and not has_native_precision(gpu.compute_capability, precision):
        return f"{gpu.name} (compute capability {capability}) does not compute in {precision}"
    if not supports_precision(gpu.compute_capability, precision):
        return f"{gpu.name} (compute capability {capability}) does not run {precision}"
    return None
