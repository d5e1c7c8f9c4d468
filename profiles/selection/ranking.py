"""The order in which profiles are preferred, one criterion after the other.

NIM's rules (1.x, documented): hardware-specific before generic, lower precision first, latency
before throughput, more GPUs first. Here a full context comes before everything, and a pipeline only
where nothing else is left. "More GPUs first" compares profiles that are there: the catalogue has no
TP 8 for a small model.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from profiles.hardware.precision import bits
from profiles.profile import Objective
from profiles.selection.appraisal import Appraisal
from profiles.selection.flags import MAX_NUM_SEQS

# Weights that one GPU reads in a third of a millisecond (H100), which is less than what the layers'
# all-reduces of one token cost.
_THIN_BYTES = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """Less is better; `says` explains the winner to the loser."""

    key: Callable[[Appraisal], Any]
    says: Callable[[Appraisal], str]


def criteria(wish: Objective | None) -> tuple[Criterion, ...]:
    """All of them, the first decides first; `wish` comes before the rule for objectives."""
    objectives: list[Objective | None] = [Objective.LATENCY, None, Objective.THROUGHPUT]
    if wish is not None:
        objectives.sort(key=lambda objective: objective is not wish)
    return (
        Criterion(
            key=lambda one: one.order,
            says=lambda best: "a full context comes before a shortened one",
        ),
        Criterion(
            key=lambda one: one.profile.needs_pin,
            says=lambda best: "the other is for when it is pinned",
        ),
        Criterion(
            key=lambda one: MAX_NUM_SEQS in one.arguments,
            says=lambda best: "what runs as it is comes before what needs fewer sequences",
        ),
        Criterion(
            key=lambda one: one.profile.gpu is None,
            says=lambda best: "a profile tuned for this GPU comes before a generic one",
        ),
        Criterion(
            key=lambda one: bits(one.profile.precision),
            says=lambda best: f"the lower precision comes first ({best.profile.precision})",
        ),
        Criterion(
            key=lambda one: one.profile.pp,
            says=lambda best: "a pipeline is for when nothing else fits",
        ),
        Criterion(
            key=lambda one: objectives.index(one.profile.objective),
            says=lambda best: (
                f"{best.profile.objective or 'no objective'} comes first"
                + (", as asked for" if best.profile.objective is wish and wish else "")
            ),
        ),
        Criterion(
            key=_is_thin,
            says=lambda best: "so small a model gains nothing from more GPUs",
        ),
        Criterion(
            key=lambda one: -one.profile.tp,
            says=lambda best: f"more GPUs for each token come first (TP {best.profile.tp})",
        ),
        Criterion(
            key=lambda one: one.profile.rank,
            says=lambda best: "the catalogue has the other first",
        ),
        Criterion(key=lambda one: one.profile.id, says=lambda best: "the other's id comes first"),
    )


def _is_thin(one: Appraisal) -> bool:
    """Whether GPUs of a derived profile would spend their time talking about next to no weights."""
    if one.profile.gpu is not None or one.profile.gpu_count < 2 or one.estimate is None:  # noqa: PLR2004
        return False
    return one.estimate.weights_bytes < _THIN_BYTES


def ranked(appraisals: list[Appraisal], wish: Objective | None) -> list[Appraisal]:
    """Best first."""
    order = criteria(wish)
    return sorted(appraisals, key=lambda one: tuple(criterion.key(one) for criterion in order))


def why_behind(loser: Appraisal, winner: Appraisal, wish: Objective | None) -> str:
    """The first criterion on which the winner is better, as a sentence."""
    for criterion in criteria(wish):
        if criterion.key(loser) != criterion.key(winner):
            return f"it fits, but {winner.profile.name} is preferred: {criterion.says(winner)}"
    return f"it is the same as {winner.profile.name}"
