"""Chooses a profile, and says of every other one why it was not.

Pure: model, machine and wishes come in, the choice or a sentence comes out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from profiles.errors import NoProfileFitsError, SelectionError, UnexpectedProfileError
from profiles.hardware import Hardware
from profiles.hardware.precision import bits
from profiles.memory import Estimate, Fit, ModelFacts
from profiles.profile import CPU, Profile
from profiles.profile_name import find, says_default
from profiles.selection.appraisal import Appraisal, appraise
from profiles.selection.flags import UTILIZATION
from profiles.selection.planner import Planner
from profiles.selection.ranking import ranked, why_behind
from profiles.selection.request import Request
from profiles.selection.shortage import no_profile_fits

_MANY = 4  # profiles that share a reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The choice and its reasons.

    `arguments` are the engine's flags of the profile and those that this machine adds; what the
    user sets himself is not among them and comes above.
    """

    chosen: Appraisal
    arguments: Mapping[str, str]
    warnings: tuple[str, ...]
    rejected: tuple[tuple[Profile, str], ...]
    is_pinned: bool

    @property
    def profile(self) -> Profile:
        """What is served."""
        return self.chosen.profile

    @property
    def estimate(self) -> Estimate | None:
        """Memory per GPU; None on a CPU."""
        return self.chosen.estimate

    @property
    def tier(self) -> Fit:
        """Whether it runs with a full context."""
        return self.chosen.fit

    @property
    def gpu_indices(self) -> tuple[int, ...]:
        """CUDA's numbers of the GPUs it is for; empty on a CPU."""
        return tuple(gpu.index for gpu in self.chosen.gpus)

    @property
    def summary(self) -> str:
        """One line for the log."""
        how = "pinned" if self.is_pinned else "chosen automatically"
        words = [f"{self.profile.name} ({self.profile.id[:12]}), {how}"]
        if self.chosen.gpus:
            indices = ", ".join(map(str, self.gpu_indices))
            words.append(f"on {len(self.chosen.gpus)} x {self.chosen.gpus[0].name} ({indices})")
        if self.profile.is_quantized_while_loading:
            words.append("weights made FP8 while loading")
        if self.tier is Fit.LOW_MEMORY:
            words.append("low memory")
        return "; ".join(words)

    def explanation(self) -> list[str]:
        """The whole reasoning, line by line; a reason that many share is said once."""
        lines = [self.summary, f"  {self.profile.source}"]
        lines += [f"  warning: {warning}" for warning in self.warnings]
        sharing: dict[str, list[str]] = {}
        for profile, why in self.rejected:
            sharing.setdefault(why, []).append(profile.name)
        lines += [line for why, names in sharing.items() for line in _told(names, why)]
        if any(len(names) >= _MANY for names in sharing.values()):
            lines.append("(--json names every profile)")
        return lines

    def as_dict(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "profile": self.profile.id,
            "name": self.profile.name,
            "pinned": self.is_pinned,
            "tier": self.tier.value,
            "gpus": list(self.gpu_indices),
            "arguments": dict(self.arguments),
            "origin": self.profile.origin.value,
            "origin_key": self.profile.origin_key,
            "source": self.profile.source,
            "required_gb_per_gpu": self.chosen.required_gb,
            "max_model_len": self.estimate.longest_model_len if self.estimate else None,
            "warnings": list(self.warnings),
            "rejected": [
                {"profile": profile.id, "name": profile.name, "reason": why}
                for profile, why in self.rejected
            ],
        }


def _told(names: list[str], why: str) -> list[str]:
    if len(names) < _MANY:
        return [f"- {name}: {why}" for name in names]
    return [f"- {len(names)} profiles ({names[0]}, {names[1]}, …): {why}"]


def appraise_all(
    profiles: Sequence[Profile], model: ModelFacts, hardware: Hardware, request: Request
) -> list[Appraisal]:
    """Every profile on this machine, best first."""
    return _appraised(profiles, Planner(model), hardware, request)


def _appraised(
    profiles: Sequence[Profile], planner: Planner, hardware: Hardware, request: Request
) -> list[Appraisal]:
    found = [appraise(profile, planner, hardware, request) for profile in profiles]
    return ranked(found, request.objective)


def select(
    profiles: Sequence[Profile], model: ModelFacts, hardware: Hardware, request: Request
) -> Selection:
    """The profile to serve.

    Raises:
        UnknownProfileError: the pin or the expectation names no profile.
        NoProfileFitsError: none can be served; the message has the nearest ways out.
        UnexpectedProfileError: it is not the one that `request.expected` asserts.
        SelectionError: the pin contradicts what else is asked for.
    """
    planner = Planner(model)
    appraisals = _appraised(profiles, planner, hardware, request)
    is_pinned = not says_default(request.profile)
    if is_pinned:
        chosen = _pinned(appraisals, planner, hardware, request)
    else:
        chosen = _automatic(appraisals, planner, hardware, request)
    selection = Selection(
        chosen=chosen,
        arguments={**chosen.profile.engine_arguments(), **chosen.arguments},
        warnings=tuple(_warnings(chosen, model, hardware, is_pinned=is_pinned)),
        rejected=tuple(
            (other.profile, _why_not(other, chosen, hardware, request, is_pinned=is_pinned))
            for other in appraisals
            if other.profile.id != chosen.profile.id
        ),
        is_pinned=is_pinned,
    )
    _assert_expected(selection, appraisals, request)
    return selection


def _automatic(
    appraisals: Sequence[Appraisal], planner: Planner, hardware: Hardware, request: Request
) -> Appraisal:
    for appraisal in appraisals:  # best first
        if _unwanted(appraisal, hardware, request) is None:
            return appraisal
    reasons = {
        appraisal.profile.id: _unwanted(appraisal, hardware, request) or ""
        for appraisal in appraisals
    }
    raise NoProfileFitsError(no_profile_fits(appraisals, reasons, planner, hardware, request))


def _unwanted(appraisal: Appraisal, hardware: Hardware, request: Request) -> str | None:
    """Why the profile is not chosen unasked, as a sentence, or None."""
    if appraisal.fit is Fit.INCOMPATIBLE:
        return appraisal.reason
    if refusal := request.refuses(appraisal.profile):
        return refusal
    if appraisal.profile.needs_pin:
        return "it changes the answers, and nobody has validated that for this model: only pinned"
    if appraisal.profile.gpu == CPU and hardware.problem is not None:
        return f"there seems to be a GPU: {hardware.problem}"
    if appraisal.fit is Fit.LOW_MEMORY and request.length is not None:
        return appraisal.reason
    if appraisal.leaves_little:
        return f"{appraisal.reason}, which is too short to be chosen unasked"
    return None


def _pinned(
    appraisals: Sequence[Appraisal], planner: Planner, hardware: Hardware, request: Request
) -> Appraisal:
    """The pinned profile, even with low memory, for another GPU family or with other answers."""
    text = str(request.profile)
    by_id = {appraisal.profile.id: appraisal for appraisal in appraisals}
    found = [by_id[p.id] for p in find(text, [appraisal.profile for appraisal in appraisals])]
    served = [one for one in found if one.fit is not Fit.INCOMPATIBLE]
    chosen = served[0] if served else found[0]
    wishes = replace(request, lora=True) if chosen.profile.lora else request
    if refusal := wishes.refuses(chosen.profile):
        raise SelectionError(f"{_by_pin(chosen.profile)}, but {refusal}: change one of them")
    if chosen.fit is Fit.INCOMPATIBLE:
        chosen = appraise(chosen.profile, planner, hardware, request, any_gpu=True)
    if chosen.fit is Fit.INCOMPATIBLE:
        reasons = {chosen.profile.id: chosen.reason}
        message = no_profile_fits([chosen], reasons, planner, hardware, request)
        raise NoProfileFitsError(f"{_by_pin(chosen.profile)}: {message}")
    return chosen


def _by_pin(profile: Profile) -> str:
    return f"NIM_MODEL_PROFILE pins {profile.name}"


def _warnings(
    chosen: Appraisal, model: ModelFacts, hardware: Hardware, *, is_pinned: bool
) -> list[str]:
    said = []
    profile = chosen.profile
    if chosen.fit is Fit.LOW_MEMORY:
        said.append(f"the context is shortened: {chosen.reason}")
    if UTILIZATION in chosen.arguments:
        share = chosen.arguments[UTILIZATION]
        said.append(f"the engine gets {share} of the memory, for the rest is not free")
    if profile.gpu not in (None, CPU, *(gpu.family for gpu in chosen.gpus)):
        said.append(f"it was tuned for {str(profile.gpu).upper()}")
    if profile.is_quantized_while_loading and bits(model.precision) > bits(profile.precision):
        said.append(
            "weights are made FP8 while loading, and answers differ a little from those in "
            f"{model.precision}; pin a {model.precision} profile to keep them"
        )
    if hardware.problem is not None:
        said.append(hardware.problem)
    return said


def _why_not(
    other: Appraisal, chosen: Appraisal, hardware: Hardware, request: Request, *, is_pinned: bool
) -> str:
    if reason := _unwanted(other, hardware, request):
        return reason
    if is_pinned:
        return f"it fits, but {chosen.profile.name} is pinned"
    return why_behind(other, chosen, request.objective)


def _assert_expected(
    selection: Selection, appraisals: Sequence[Appraisal], request: Request
) -> None:
    """A silent downgrade is the failure that nobody notices in production: this makes it loud."""
    if says_default(request.expected):
        return
    expected = find(str(request.expected), [appraisal.profile for appraisal in appraisals])
    if selection.profile.id in {profile.id for profile in expected}:
        return
    why = next((why for profile, why in selection.rejected if profile.id == expected[0].id), "")
    raise UnexpectedProfileError(
        f"UNIGATE_EXPECT_PROFILE expects {expected[0].name}, and the choice is "
        f"{selection.profile.name}: {expected[0].name} was not taken because {why}"
    )
