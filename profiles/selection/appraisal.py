"""Judges one profile on this machine: where it would run, and whether its memory suffices."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from profiles.hardware import Gpu, Hardware
from profiles.hardware.precision import bits
from profiles.memory import Estimate, Fit, ModelFacts
from profiles.parallelism import cannot_split
from profiles.profile import CPU, Profile
from profiles.selection.flags import MAX_MODEL_LEN, MAX_NUM_SEQS, options, spelled
from profiles.selection.placement import Placement, alike, places
from profiles.selection.planner import Planner
from profiles.selection.request import Request

_GIB = 1 << 30
# Tried when the engine's default number of sequences (1024 on large GPUs) is what does not fit:
# their state, logits and penalties are allocated for all of them.
_FEWER_SEQS = (256, 64)
# A context below this is not chosen unasked: a system prompt with tools would fill it.
_SHORTEST_CONTEXT = 2048
_ORDER = (Fit.RUNNABLE, Fit.LOW_MEMORY, Fit.INCOMPATIBLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Appraisal:
    """One profile on one machine.

    `arguments` are flags that this machine adds to the profile's; `reason` says why it does not run
    as it is, and is empty if it does. Without GPUs for it the estimate is for the largest there is.
    """

    profile: Profile
    fit: Fit
    reason: str = ""
    gpus: tuple[Gpu, ...] = ()
    estimate: Estimate | None = None
    arguments: Mapping[str, str] = field(default_factory=dict)

    @property
    def required_gb(self) -> int | None:
        """Gigabytes (2³⁰) that each GPU should have, for the listing."""
        return None if self.estimate is None else gigabytes(self.estimate.required_bytes)

    @property
    def reduced_gb(self) -> int | None:
        """The same with the shorter context."""
        if self.estimate is None or self.estimate.reduced_bytes is None:
            return None
        return gigabytes(self.estimate.reduced_bytes)

    @property
    def leaves_little(self) -> bool:
        """Whether so little context fits that nobody would want it unasked."""
        if self.fit is not Fit.LOW_MEMORY or self.estimate is None:
            return False
        enough = min(_SHORTEST_CONTEXT, self.estimate.max_model_len // 2)
        return self.estimate.longest_model_len < enough

    @property
    def order(self) -> int:
        """0 runnable, 1 low memory, 2 incompatible."""
        return _ORDER.index(self.fit)


def gigabytes(size_bytes: int) -> int:
    """Gigabytes (2³⁰) to the nearest; rounded up, an L4 of 22.04 would lack what it just holds.

    At least one: no GPU can be asked for with less.
    """
    return max(1, round(size_bytes / _GIB))


def appraise(
    profile: Profile,
    planner: Planner,
    hardware: Hardware,
    request: Request,
    *,
    any_gpu: bool = False,
) -> Appraisal:
    """How the profile would do; `any_gpu` also on GPUs it was not tuned for."""
    if profile.gpu == CPU:
        return _on_cpu(profile, planner.model, hardware, request)
    if not hardware.gpus:
        reason = hardware.problem or "it needs a GPU, and this machine has none"
        return Appraisal(profile=profile, fit=Fit.INCOMPATIBLE, reason=reason)
    if problem := cannot_split(planner.model, tp=profile.tp, pp=profile.pp):
        return Appraisal(profile=profile, fit=Fit.INCOMPATIBLE, reason=problem)
    asked = spelled(request.arguments)
    arguments = {**profile.arguments, **asked}
    found = list(places(profile, hardware, arguments, any_gpu=any_gpu))
    tried = [
        _planned(profile, planner, place, arguments, request)
        for place in found
        if isinstance(place, Placement)
    ]
    if tried:
        return min(tried, key=lambda appraisal: appraisal.order)
    return Appraisal(
        profile=profile,
        fit=Fit.INCOMPATIBLE,
        reason="; ".join(dict.fromkeys(place for place in found if isinstance(place, str))),
        estimate=_estimate(profile, planner, alike(hardware)[0][0], arguments, request),
    )


def _on_cpu(profile: Profile, model: ModelFacts, hardware: Hardware, request: Request) -> Appraisal:
    reason = ""
    weights_bytes = model.parameters * bits(profile.precision) // 8
    if hardware.gpus:
        reason = "it is for machines without a GPU"
    elif request.host_memory_bytes is not None and weights_bytes > request.host_memory_bytes:
        reason = (
            f"its weights take {gigabytes(weights_bytes)} GB in {profile.precision}, and this "
            f"machine has {request.host_memory_bytes // _GIB} GB of memory"
        )
    fit = Fit.INCOMPATIBLE if reason else Fit.RUNNABLE
    return Appraisal(profile=profile, fit=fit, reason=reason)


def _planned(
    profile: Profile,
    planner: Planner,
    place: Placement,
    arguments: Mapping[str, str],
    request: Request,
) -> Appraisal:
    """The profile on these GPUs, with fewer sequences or a shorter context if it has to be."""
    added = dict(place.arguments)
    gpu = place.smallest
    result = _estimate(profile, planner, gpu, {**arguments, **added}, request)
    if result.fits is not Fit.RUNNABLE and MAX_NUM_SEQS not in arguments:
        for count in _FEWER_SEQS:
            fewer = {**added, MAX_NUM_SEQS: str(count)}
            other = _estimate(profile, planner, gpu, {**arguments, **fewer}, request)
            if _ORDER.index(other.fits) < _ORDER.index(result.fits):
                result, added = other, fewer
    appraisal = Appraisal(
        profile=profile, fit=result.fits, gpus=place.gpus, estimate=result, arguments=added
    )
    match result.fits:
        case Fit.RUNNABLE:
            return appraisal
        case Fit.LOW_MEMORY:
            length = {MAX_MODEL_LEN: str(result.longest_model_len)}
            return replace(appraisal, reason=_too_long(result, gpu), arguments={**added, **length})
        case Fit.INCOMPATIBLE:
            return replace(appraisal, reason=_too_large(result, gpu))


def _estimate(
    profile: Profile, planner: Planner, gpu: Gpu, arguments: Mapping[str, str], request: Request
) -> Estimate:
    return planner.estimate(
        options(
            profile,
            arguments,
            gpu_memory_bytes=gpu.memory_bytes,
            compute_capability=gpu.compute_capability,
            max_model_len=request.length,
        ),
    )


def _too_long(result: Estimate, gpu: Gpu) -> str:
    return (
        f"a context of {result.max_model_len} tokens needs {result.required_bytes / _GIB:.1f} GB "
        f"per GPU, and {gpu.name} has {gpu.memory_bytes / _GIB:.1f}; "
        f"--max-model-len={result.longest_model_len} fits"
    )


def _too_large(result: Estimate, gpu: Gpu) -> str:
    return (
        f"it needs {result.required_bytes / _GIB:.1f} GB per GPU "
        f"({result.weights_bytes / _GIB:.1f} of them for weights), "
        f"and {gpu.name} has {gpu.memory_bytes / _GIB:.1f}"
    )
