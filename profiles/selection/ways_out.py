"""What would help where no profile fits: the nearest ways out, as sentences."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from profiles.derive import derive
from profiles.hardware import Gpu, Hardware
from profiles.hardware.precision import bits
from profiles.memory import Fit
from profiles.profile import CPU, Profile
from profiles.selection.appraisal import Appraisal, appraise, gigabytes
from profiles.selection.placement import alike
from profiles.selection.planner import Planner
from profiles.selection.ranking import ranked
from profiles.selection.request import Request

_GIB = 1 << 30
_WAYS = 3
_MORE = (1, 2, 4, 8)  # one node's
_FOUR = 4
_FOUR_BIT_BYTES = 0.57  # per parameter: 4 bits, scales, and what stays in 16 bits (AWQ of a 70B)


def _datacentre(name: str, pci_id: str, memory_gib: float, capability: tuple[int, int]) -> Gpu:
    size_bytes = int(memory_gib * _GIB)
    return Gpu(
        index=0,
        uuid="",
        name=name,
        pci_id=pci_id,
        memory_bytes=size_bytes,
        free_bytes=size_bytes,
        compute_capability=capability,
        utilization_percent=0,
        is_unified=False,
        mig=None,
        is_free=True,
    )


# GPUs that one can rent anywhere, with what CUDA shows of their memory.
_DATACENTRE = (
    _datacentre("H100 80 GB", "2330:10de", 79.19, (9, 0)),
    _datacentre("H200 141 GB", "2335:10de", 139.8, (9, 0)),
    _datacentre("B200 180 GB", "2901:10de", 178.35, (10, 0)),
)


def ways_out(
    appraisals: Sequence[Appraisal], planner: Planner, hardware: Hardware, request: Request
) -> tuple[str, ...]:
    """At most three, the cheapest first."""
    profiles = [appraisal.profile for appraisal in appraisals]
    ways: list[str] = []
    for way in _all(appraisals, profiles, planner, hardware, request):
        if way not in ways:
            ways.append(way)
        if len(ways) == _WAYS:
            break
    return tuple(ways)


def _all(
    appraisals: Sequence[Appraisal],
    profiles: Sequence[Profile],
    planner: Planner,
    hardware: Hardware,
    request: Request,
) -> Iterator[str]:
    if hardware.gpus:
        yield from _shorter(appraisals, request)
        yield from _freed(profiles, planner, hardware, request)
        yield from _asked_less(appraisals, request)
        yield from _pinned(appraisals, request)
        yield from _more(profiles, planner, hardware, request)
    else:
        yield from _without_gpu(appraisals, hardware)
    yield from _other(profiles, planner, hardware, request)
    yield from _quantized(planner)


def _without_gpu(appraisals: Sequence[Appraisal], hardware: Hardware) -> Iterator[str]:
    if hardware.problem is not None:
        yield "mend the driver (nvidia-smi must list the GPUs)"
    for appraisal in appraisals:
        profile = appraisal.profile
        if appraisal.fit is Fit.RUNNABLE and profile.gpu == CPU and not profile.lora:
            yield f"serve from the CPU with NIM_MODEL_PROFILE={profile.name}"


def _shorter(appraisals: Sequence[Appraisal], request: Request) -> Iterator[str]:
    """A length that fits, where the one that was asked for does not."""
    fitting = [
        appraisal
        for appraisal in appraisals
        if appraisal.fit is Fit.LOW_MEMORY
        and request.refuses(appraisal.profile) is None
        and not appraisal.profile.needs_pin
    ]
    for best in ranked(fitting, request.objective)[:1]:
        if best.estimate is not None:
            yield f"--max-model-len={best.estimate.longest_model_len} ({best.profile.name})"


def _freed(
    profiles: Sequence[Profile], planner: Planner, hardware: Hardware, request: Request
) -> Iterator[str]:
    """GPUs that are in use."""
    busy = [gpu for gpu in hardware.gpus if not gpu.is_free]
    if not busy:
        return
    free = tuple(
        gpu if gpu.is_free else replace(gpu, is_free=True, free_bytes=gpu.memory_bytes)
        for gpu in hardware.gpus
    )
    best = _best(profiles, planner, replace(hardware, gpus=free), request)
    if best is not None:
        used = {gpu.index for gpu in best.gpus}
        names = [f"{gpu.index} ({gpu.name})" for gpu in busy if gpu.index in used]
        plural = "GPUs" if len(names) > 1 else "GPU"
        yield f"free {plural} {' and '.join(names)}, in use now ({best.profile.name})"


def _asked_less(appraisals: Sequence[Appraisal], request: Request) -> Iterator[str]:
    """What the user asks for and could do without."""
    fitting = [
        appraisal
        for appraisal in appraisals
        if appraisal.fit is Fit.RUNNABLE and not appraisal.profile.needs_pin
    ]
    for best in ranked(fitting, request.objective)[:1]:
        refusal = request.refuses(best.profile)
        if refusal is not None:
            yield f"{best.profile.name}, which fits ({refusal})"


def _pinned(appraisals: Sequence[Appraisal], request: Request) -> Iterator[str]:
    """A lower precision that is never taken unasked."""
    fitting = [
        appraisal
        for appraisal in appraisals
        if appraisal.profile.needs_pin
        and appraisal.fit is not Fit.INCOMPATIBLE
        and not appraisal.leaves_little
        and request.refuses(appraisal.profile) is None
    ]
    for best in ranked(fitting, request.objective)[:1]:
        what = "weights made FP8 while loading; answers differ a little"
        yield f"NIM_MODEL_PROFILE={best.profile.name} ({what})"


def _more(
    profiles: Sequence[Profile], planner: Planner, hardware: Hardware, request: Request
) -> Iterator[str]:
    """The same GPUs, but more of them."""
    here = alike(hardware)[0]
    if here[0].mig is not None:
        yield "a larger slice of the GPU, or all of it"
        return
    if here[0].is_unified:  # the host's own: there are no more of it
        return
    counts = [count for count in _MORE if count > len(here)]
    yield from _counted(here[0], counts, profiles, planner, request)


def _other(
    profiles: Sequence[Profile], planner: Planner, hardware: Hardware, request: Request
) -> Iterator[str]:
    """Other GPUs."""
    here = {gpu.family for gpu in hardware.gpus if gpu.mig is None}
    for gpu in _DATACENTRE:
        if gpu.family not in here:
            yield from _counted(gpu, _MORE, profiles, planner, request)


def _counted(
    gpu: Gpu,
    counts: Sequence[int],
    profiles: Sequence[Profile],
    planner: Planner,
    request: Request,
) -> Iterator[str]:
    """The fewest of these GPUs that suffice."""
    for count in counts:
        idle = replace(gpu, is_free=True, free_bytes=gpu.memory_bytes)
        hardware = Hardware(gpus=tuple(replace(idle, index=index) for index in range(count)))
        made = derive(planner.model, hardware, tp=request.tp, pp=request.pp)
        best = _best(list(dict.fromkeys((*profiles, *made))), planner, hardware, request)
        if best is not None:
            yield f"{count} x {gpu.name} ({best.profile.name})"
            return


def _quantized(planner: Planner) -> Iterator[str]:
    """Another checkpoint of the model, with 4 bits a weight."""
    if bits(planner.model.precision) > _FOUR:
        size = gigabytes(int(planner.model.parameters * _FOUR_BIT_BYTES))
        yield f"a checkpoint with 4 bits a weight (AWQ, GPTQ), about {size} GB in all"


def _best(
    profiles: Sequence[Profile], planner: Planner, hardware: Hardware, request: Request
) -> Appraisal | None:
    """What would be chosen there."""
    found = [
        appraise(profile, planner, hardware, request)
        for profile in profiles
        if not profile.needs_pin and request.refuses(profile) is None
    ]
    runnable = [appraisal for appraisal in found if appraisal.fit is Fit.RUNNABLE]
    return ranked(runnable, request.objective)[0] if runnable else None
