"""Says in one message that nothing fits: what is here, what is lacking, and what would help."""

from collections.abc import Mapping, Sequence

from profiles.hardware import Hardware
from profiles.profile import CPU
from profiles.selection.appraisal import Appraisal
from profiles.selection.placement import alike
from profiles.selection.planner import Planner
from profiles.selection.request import Request
from profiles.selection.ways_out import ways_out

_GIB = 1 << 30
_BILLION = 1e9


def no_profile_fits(
    appraisals: Sequence[Appraisal],
    reasons: Mapping[str, str],
    planner: Planner,
    hardware: Hardware,
    request: Request,
) -> str:
    """The message; `reasons` say for each profile's id why it is not chosen."""
    model = planner.model
    nearest = _nearest(appraisals, hardware, request)
    lines = [
        f"no profile of this model ({model.architecture}, {model.parameters / _BILLION:.1f} B "
        f"parameters, {model.precision}) fits {_machine(hardware, request)}"
    ]
    if nearest is not None:
        lines.append(f"the nearest is {nearest.profile.name}, but {reasons[nearest.profile.id]}")
    ways = ways_out(appraisals, planner, hardware, request)
    if ways:
        lines.append("what would help: " + "; or ".join(ways))
    return ". ".join(_capital(line.rstrip(".")) for line in lines)


def _machine(hardware: Hardware, request: Request) -> str:
    if not hardware.gpus:
        works = " that works" if hardware.problem else ""
        memory = request.host_memory_bytes
        has = f", and {memory // _GIB} GB of memory" if memory else ""
        return f"this machine (no GPU{works}{has})"
    kinds = [
        f"{len(group)} x {group[0].name} with {group[0].memory_bytes / _GIB:.1f} GB"
        + (f", {busy} in use" if (busy := sum(not gpu.is_free for gpu in group)) else "")
        for group in alike(hardware)
    ]
    return f"this machine ({'; '.join(kinds)})"


def _nearest(
    appraisals: Sequence[Appraisal], hardware: Hardware, request: Request
) -> Appraisal | None:
    """The profile that lacks least, of those that are wanted."""
    families = [gpu.family for gpu in hardware.gpus] or [CPU]
    wanted = [
        appraisal
        for appraisal in appraisals
        if request.refuses(appraisal.profile) is None and appraisal.profile.gpu in (None, *families)
    ] or list(appraisals)
    return min(wanted, key=lambda one: _shortfall(one, hardware), default=None)


def _shortfall(appraisal: Appraisal, hardware: Hardware) -> tuple[int, bool, bool, int]:
    """How many GPUs it lacks, whether they are of the wrong kind, how many bytes on each."""
    lacks = max(0, appraisal.profile.gpu_count - len(hardware.free_gpus))
    needed = appraisal.estimate.required_bytes if appraisal.estimate is not None else 0
    largest = max((gpu.memory_bytes for gpu in hardware.gpus), default=0)
    return (lacks, not appraisal.gpus, appraisal.profile.needs_pin, max(0, needed - largest))


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
