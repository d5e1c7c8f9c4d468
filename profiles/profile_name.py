"""Understands every way in which people write down a profile, and finds what they mean."""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from profiles.errors import UnknownProfileError
from profiles.hardware.precision import BITS
from profiles.profile import Objective, Profile

_ID = re.compile(r"[0-9a-f]{64}")
_ID_PREFIX = re.compile(r"[0-9a-f]{8,63}")
# `- <id> (name) [requires >=34 GB/gpu]`, a line of the listing; the bullet and the tail may lack.
_LINE = re.compile(r"(?P<id>[0-9a-f]{64})\s*\((?P<name>[^)]*)\)\s*(?:\[.*\])?")
_TAIL = re.compile(r"\s*\[.*\]$")
_DEGREE = re.compile(r"(?P<axis>tp|pp)(?P<size>\d+)")
# Seen behind the name in NIM's listings: gigabytes, a PCI device, a hash of the workspace.
_NOISE = re.compile(r"\d+(?:\.\d+)?|[0-9a-f]{4}:[0-9a-f]{4}|[0-9a-f]{64}")
_LORA = ("lora", "feat_lora")
_OBJECTIVES = tuple(objective.value for objective in Objective)
_ENGINES = ("vllm", "sglang", "trtllm", "tensorrt_llm")
_NEAREST = 3
_LISTING = "list-model-profiles prints them"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelling:
    """What a name says; None where it says nothing."""

    engine: str
    gpu: str | None = None
    precision: str | None = None
    tp: int | None = None
    pp: int = 1  # NIM leaves -pp1 out
    objective: Objective | None = None
    lora: bool = False

    def matches(self, profile: Profile) -> bool:
        """Whether the profile is what the name says, wherever it says something."""
        return (
            profile.engine == self.engine
            and profile.pp == self.pp
            and profile.lora == self.lora
            and self.gpu in (None, profile.gpu)
            and self.precision in (None, profile.precision)
            and self.tp in (None, profile.tp)
            and self.objective in (None, profile.objective)
        )


def says_default(text: str | None) -> bool:
    """Whether the choice is left to us."""
    return text is None or text.strip().lower() in {"", "default", "auto"}


def find(text: str, profiles: Sequence[Profile]) -> tuple[Profile, ...]:
    """The profiles that the text may mean, best first; `profiles` come best first too.

    An id means one profile. A name that leaves something out (the GPU, the objective) means every
    profile that agrees with what it says; the one with exactly this name comes first.

    Raises:
        UnknownProfileError: no profile is meant, or an abbreviated id means several.
    """
    wanted = text.strip().lstrip("- ").lower()
    if line := _LINE.fullmatch(wanted):
        # Ids may change with a version; the name in the same line still says what is meant.
        by_id = tuple(profile for profile in profiles if profile.id == line["id"])
        return by_id or _by_name(line["name"], profiles, text)
    if _ID.fullmatch(wanted) or _ID_PREFIX.fullmatch(wanted):
        return _by_id(wanted, profiles, text)
    return _by_name(_TAIL.sub("", wanted), profiles, text)


def parse(name: str) -> Spelling | None:
    """What the name says, or None if it is not a profile's name."""
    engine, *words = name.strip().lower().split("-")
    if engine not in _ENGINES:
        return None
    said: dict[str, str] = {}
    for word in words:
        if _NOISE.fullmatch(word):
            continue
        field, value = _classify(word)
        if field in said:
            return None
        said[field] = value
    if not {"precision", "tp"} & said.keys():
        return None
    return Spelling(
        engine=engine,
        gpu=said.get("gpu"),
        precision=said.get("precision"),
        tp=int(said["tp"]) if "tp" in said else None,
        pp=int(said.get("pp", "1")),
        objective=Objective(said["objective"]) if "objective" in said else None,
        lora="lora" in said,
    )


def _classify(word: str) -> tuple[str, str]:
    """Which part of a name the word is."""
    if word in BITS:
        return "precision", word
    if degree := _DEGREE.fullmatch(word):
        return degree["axis"], degree["size"]
    if word in _OBJECTIVES:
        return "objective", word
    if word in _LORA:
        return "lora", word
    return "gpu", word


def _by_id(wanted: str, profiles: Sequence[Profile], text: str) -> tuple[Profile, ...]:
    found = tuple(profile for profile in profiles if profile.id.startswith(wanted))
    if not found:
        raise UnknownProfileError(f"no profile has the id {text.strip()!r}; {_LISTING}")
    if len(found) > 1:
        names = ", ".join(profile.name for profile in found)
        raise UnknownProfileError(
            f"{text.strip()!r} begins several ids ({names}): write more of it"
        )
    return found


def _by_name(name: str, profiles: Sequence[Profile], text: str) -> tuple[Profile, ...]:
    spelling = parse(name)
    found = [] if spelling is None else [p for p in profiles if spelling.matches(p)]
    if not found:
        raise UnknownProfileError(_unknown(name, profiles, text))
    return tuple(sorted(found, key=lambda profile: not _is_exact(profile, name)))


def _is_exact(profile: Profile, name: str) -> bool:
    spelling, own = parse(name), parse(profile.name)
    return spelling == own


def _unknown(name: str, profiles: Sequence[Profile], text: str) -> str:
    engine = name.partition("-")[0]
    if engine in _ENGINES and engine != "vllm":
        return f"{text.strip()!r} is a profile for {engine}; here are profiles for vllm only"
    near = _nearest(name, (profile.name for profile in profiles))
    hint = f"the nearest are {', '.join(near)}; " if near else ""
    return f"there is no profile {text.strip()!r}; {hint}{_LISTING}"


def _nearest(name: str, names: Iterable[str]) -> list[str]:
    known = list(dict.fromkeys(names))
    return difflib.get_close_matches(name, known, n=_NEAREST, cutoff=0.3)
