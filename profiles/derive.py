"""Makes profiles for any model: each TP, PP and LoRA that the node's GPUs allow.

They are in the checkpoint's own precision. Batch sizes are left to the engine, whose defaults know
the GPU; what a machine needs beyond that (`profiles/selection/appraisal.py`) is not part of a
profile, so that its id is the same everywhere.
"""

from collections.abc import Iterator

from profiles.hardware import Hardware, has_native_precision, supports_precision
from profiles.hardware.precision import bits
from profiles.memory import ModelFacts
from profiles.parallelism import cannot_split, gpu_counts
from profiles.profile import CPU, Profile

_GENERIC = "Derived from config.json; batch sizes are vLLM's defaults for the GPU."
_FP16 = "Derived from config.json; float16, as vLLM takes it for GPUs without bfloat16."
_FP8 = (
    "Derived from config.json; FP8 is made by the engine while it loads, which nobody has "
    "validated for this model: only when pinned."
)
# bfloat16 kills the worker of LoRA and speculation with SIGILL on some CPUs, and compiling pays off
# only for models that nobody serves from a CPU (tried with vLLM 0.32).
_CPU = "For machines without a GPU: float32, for bfloat16 fails on some CPUs; eager, to start soon."
_CPU_OWN = "For machines without a GPU, in the checkpoint's own precision; eager, to start soon."
# vLLM refuses float16 for these (_FLOAT16_NOT_SUPPORTED_MODELS in its config/model.py, 0.32).
_NEVER_FP16 = ("gemma2", "gemma3", "gemma3_text", "glm4")


def derive(
    model: ModelFacts,
    hardware: Hardware,
    *,
    tp: int | None = None,
    pp: int | None = None,
) -> tuple[Profile, ...]:
    """Generic profiles for the model, the ones asked for (`tp`, `pp`) among them."""
    if not hardware.gpus:
        return tuple(_for_cpu(model))
    made = [
        Profile(
            precision=precision,
            tp=tp_,
            pp=pp_,
            lora=lora,
            arguments=arguments,
            source=source,
            needs_pin=needs_pin,
        )
        for precision, arguments, source, needs_pin in _precisions(model, hardware)
        for tp_, pp_ in sorted(_splits(model, hardware, tp, pp))
        for lora in (False, True)
        if not (needs_pin and pp_ > 1)
    ]
    return tuple(dict.fromkeys(made))


def _for_cpu(model: ModelFacts) -> Iterator[Profile]:
    is_full = bits(model.precision) >= bits("bf16")
    arguments = {"--dtype": "float32"} if is_full else {}
    for lora in (False, True):
        yield Profile(
            gpu=CPU,
            precision="fp32" if is_full else model.precision,
            lora=lora,
            arguments={**arguments, "--enforce-eager": ""},
            source=_CPU if is_full else _CPU_OWN,
        )


def _precisions(
    model: ModelFacts, hardware: Hardware
) -> Iterator[tuple[str, dict[str, str], str, bool]]:
    """Precision, flags, source, and whether it has to be pinned."""
    capabilities = {gpu.compute_capability for gpu in hardware.gpus}
    yield model.precision, {}, _GENERIC, False
    if (
        model.precision == "bf16"
        and model.model_type not in _NEVER_FP16
        and not all(supports_precision(capability, "bf16") for capability in capabilities)
    ):
        yield "fp16", {"--dtype": "float16"}, _FP16, False
    if model.precision in ("bf16", "fp16") and any(
        has_native_precision(capability, "fp8") for capability in capabilities
    ):
        yield "fp8", {"--quantization": "fp8"}, _FP8, True


def _splits(
    model: ModelFacts, hardware: Hardware, tp: int | None, pp: int | None
) -> set[tuple[int, int]]:
    """All (TP, PP) that make sense: stages only where the node has the GPUs for them."""
    counts = gpu_counts(hardware)
    here = len(hardware.gpus)
    usual = {(count, 1) for count in counts}
    staged = {
        (width, depth)
        for width in counts
        for depth in (*counts, here)
        if depth > 1 and width * depth <= here and width * depth in counts
    }
    splits = {
        (width, depth)
        for width, depth in usual | staged
        if cannot_split(model, tp=width, pp=depth) is None
    }
    if tp is not None or pp is not None:
        # What was asked for is offered even if it cannot be: the sentence says why.
        splits.add((tp or 1, pp or 1))
    return splits
