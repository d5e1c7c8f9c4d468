"""Prints profiles as NIM's list-model-profiles does: other people's scripts parse it."""

from collections.abc import Iterator, Sequence
from typing import Any

from profiles.hardware import Gpu, Hardware
from profiles.memory import Fit
from profiles.selection.appraisal import Appraisal

_NONE = " <None>"
# A leftover of NIM 2.0 that scripts have seen; there is nothing to compile here.
_COMPILABLE = (
    "- Compilable to TRT-LLM using just-in-time compilation of HF models to TRTLLM engines: <None>"
)


def listing(hardware: Hardware, appraisals: Sequence[Appraisal]) -> str:
    """The whole text; `appraisals` best first."""
    by_fit = {fit: [one for one in appraisals if one.fit is fit] for fit in Fit}
    lines = [
        "SYSTEM INFO",
        *_gpus("- Free GPUs:", hardware.free_gpus),
        *_busy([gpu for gpu in hardware.gpus if not gpu.is_free]),
        "MODEL PROFILES",
        *_compatible("- Compatible with system and runnable:", by_fit[Fit.RUNNABLE]),
        *_compatible("- Compatible with system but low memory:", by_fit[Fit.LOW_MEMORY]),
        _COMPILABLE,
        *_titled("- Incompatible with system:", by_fit[Fit.INCOMPATIBLE], indent=4),
    ]
    return "\n".join(lines)


def listing_as_dict(hardware: Hardware, appraisals: Sequence[Appraisal]) -> dict[str, Any]:
    """The same for programs."""
    return {
        "driver": hardware.driver,
        "problem": hardware.problem,
        "gpus": [
            {
                "index": gpu.index,
                "name": gpu.name,
                "pci_id": gpu.pci_id,
                "family": gpu.family,
                "memory_bytes": gpu.memory_bytes,
                "free_bytes": gpu.free_bytes,
                "compute_capability": ".".join(map(str, gpu.compute_capability)),
                "mig": gpu.mig,
                "is_free": gpu.is_free,
            }
            for gpu in hardware.gpus
        ],
        "profiles": [_as_dict(appraisal) for appraisal in appraisals],
    }


def _as_dict(appraisal: Appraisal) -> dict[str, Any]:
    profile, result = appraisal.profile, appraisal.estimate
    return {
        "id": profile.id,
        "name": profile.name,
        "gpu": profile.gpu,
        "precision": profile.precision,
        "tp": profile.tp,
        "pp": profile.pp,
        "objective": profile.objective,
        "lora": profile.lora,
        "needs_pin": profile.needs_pin,
        "arguments": profile.engine_arguments(),
        "origin": profile.origin.value,
        "origin_key": profile.origin_key,
        "source": profile.source,
        "fit": appraisal.fit.value,
        "reason": appraisal.reason,
        "gpus": [gpu.index for gpu in appraisal.gpus],
        "machine_arguments": dict(appraisal.arguments),
        "required_gb_per_gpu": appraisal.required_gb,
        "reduced_gb_per_gpu": appraisal.reduced_gb,
        "longest_model_len": result.longest_model_len if result is not None else None,
    }


def _gpus(title: str, gpus: Sequence[Gpu]) -> Iterator[str]:
    yield title if gpus else title + _NONE
    for gpu in gpus:
        used = f"[current utilization: {gpu.used_percent}%]"
        yield f"  -  [{gpu.pci_id}] ({gpu.index}) {gpu.name} {used}"


def _busy(gpus: Sequence[Gpu]) -> Iterator[str]:
    """Only where there are any: NIM leaves this title out (published outputs of 1.0 to 2.0)."""
    if gpus:
        yield from _gpus("- Non-free GPUs:", gpus)


def _compatible(title: str, appraisals: Sequence[Appraisal]) -> Iterator[str]:
    plain = [one for one in appraisals if not one.profile.lora]
    with_lora = [one for one in appraisals if one.profile.lora]
    yield title if appraisals else title + _NONE
    yield from (f"  - {_line(one)}" for one in plain)
    if with_lora:
        yield "  - With LoRA support:"
        yield from (f"    - {_line(one)}" for one in with_lora)


def _titled(title: str, appraisals: Sequence[Appraisal], *, indent: int) -> Iterator[str]:
    yield title if appraisals else title + _NONE
    yield from (f"{' ' * indent}- {_line(one)}" for one in appraisals)


def _line(appraisal: Appraisal) -> str:
    profile, needed = appraisal.profile, appraisal.required_gb
    name = f"{profile.id} ({profile.listed_name(needed)})"
    if needed is None:
        return name
    advice = ""
    if appraisal.fit is Fit.LOW_MEMORY and appraisal.estimate is not None:
        length = appraisal.estimate.longest_model_len
        advice = f", try --max-model-len={length} to reduce to >={appraisal.reduced_gb} GB/gpu"
    return f"{name} [requires >={needed} GB/gpu{advice}]"
