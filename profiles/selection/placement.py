"""Finds the GPUs for a profile: free ones, all alike."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

from profiles.hardware import Gpu, Hardware
from profiles.hardware.precision import unsupported
from profiles.profile import Profile
from profiles.selection.flags import UTILIZATION, replicas, utilization

_GIB = 1 << 30
# The engine's share is compared with what is free once CUDA's context and NCCL's buffers are there
# (vLLM 0.32, request_memory). They are not part of it: about 0.5 GiB on one GPU, 1.5 GiB on each of
# several (measured on H100 at TP 1 and TP 2).
_CONTEXT_BYTES = _GIB // 2
_CONTEXT_SEVERAL_BYTES = 3 * _GIB // 2
# GB10 shares its memory with the host, and runs reported from there use 0.85.
_SHARED_UTILIZATION = 0.85


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """GPUs that a profile may run on, and what they change about its flags."""

    gpus: tuple[Gpu, ...]
    arguments: Mapping[str, str]

    @property
    def smallest(self) -> Gpu:
        """The GPU with the least memory; the others have to wait for it."""
        return min(self.gpus, key=lambda gpu: gpu.memory_bytes)


def alike(hardware: Hardware) -> tuple[tuple[Gpu, ...], ...]:
    """The GPUs in groups of the same kind, most memory first."""

    def kind(gpu: Gpu) -> tuple[object, ...]:
        return (-gpu.memory_bytes, gpu.name, gpu.pci_id, gpu.mig or "")

    by_kind = groupby(sorted(hardware.gpus, key=lambda gpu: (kind(gpu), gpu.index)), key=kind)
    return tuple(tuple(group) for _, group in by_kind)


def places(
    profile: Profile, hardware: Hardware, arguments: Mapping[str, str], *, any_gpu: bool = False
) -> Iterator[Placement | str]:
    """Where the profile may run, or for each group of GPUs a sentence why not.

    `any_gpu`: also on GPUs of another family than it was tuned for.
    """
    count = profile.gpu_count * replicas(arguments)
    for group in alike(hardware):
        problem = _unfit(profile, group, count, any_gpu=any_gpu)
        if problem is not None:
            yield problem
            continue
        free = [gpu for gpu in group if gpu.is_free][:count]
        share = _share(free, utilization(arguments))
        if UTILIZATION in arguments or share >= utilization(arguments):
            yield Placement(gpus=tuple(free), arguments={})
        elif share > 0:
            yield Placement(gpus=tuple(free), arguments={UTILIZATION: f"{share:.2f}"})
        else:
            yield f"{free[0].name} has no memory left"


def _unfit(profile: Profile, group: tuple[Gpu, ...], count: int, *, any_gpu: bool) -> str | None:
    kind = group[0]
    free = sum(gpu.is_free for gpu in group)
    if profile.gpu not in (None, kind.family) and not any_gpu:
        return f"it is tuned for {str(profile.gpu).upper()}, and this is {kind.name}"
    quantizes = profile.is_quantized_while_loading
    if problem := unsupported(profile.precision, kind, quantizes=quantizes):
        return problem
    if kind.mig is not None and count > 1:
        return "slices of a GPU (MIG) cannot work together"
    if free < count:
        busy = [str(gpu.index) for gpu in group if not gpu.is_free]
        has = f"{free} of {len(group)} x {kind.name} free" if busy else f"{free} x {kind.name}"
        in_use = f" (in use: {', '.join(busy)})" if busy else ""
        return f"it needs {count} GPUs, and there {_are(free)} {has}{in_use}"
    return None


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _share(gpus: list[Gpu], wanted: float) -> float:
    """The share of their memory that the engine can really have, rounded down to a hundredth."""
    context_bytes = _CONTEXT_BYTES if len(gpus) == 1 else _CONTEXT_SEVERAL_BYTES
    free = min((gpu.free_bytes - context_bytes) / gpu.memory_bytes for gpu in gpus)
    limit = min(wanted, _SHARED_UTILIZATION) if gpus[0].is_unified else wanted
    return limit if free >= limit else math.floor(free * 100) / 100
