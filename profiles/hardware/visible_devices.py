"""Reads CUDA_VISIBLE_DEVICES as CUDA does (and torch after it), MIG included.

The rules are those of the CUDA programming guide and of `_parse_visible_devices` in torch 2.13's
`torch/cuda/__init__.py`, because vLLM counts GPUs with the latter:

- Numbers, or prefixes of UUIDs that fit one device only; what the first entry is, all have to be.
- The list ends at the first entry that names nothing; one that names a device twice is empty.
- A GPU in MIG mode stands for its MIG devices. CUDA gives a process one MIG device, the first, and
  then no whole GPU beside it (MIG user guide, "CUDA device enumeration").

Numbers are NVML's, in the order of the PCI bus. CUDA's own default order puts the fastest first,
which differs only where GPUs of several kinds are mixed; there, CUDA_DEVICE_ORDER=PCI_BUS_ID makes
both the same, as vLLM too recommends.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

# Deliberately none: CUDA's own two ways of saying so, and Slurm's.
_NONE = frozenset({"", "-1", "NoDevFiles"})
_NUMBER = re.compile(r"\s*\+?(\d+)")  # like strtoul: what follows the digits does not matter
_END = "-1"

_ONE_SLICE = (
    "CUDA shows a process one MIG device and no GPU beside it, so that 1 of {} devices is used: "
    "name another with CUDA_VISIBLE_DEVICES=MIG-…, or switch MIG off (nvidia-smi -mig 0)."
)
_NO_SLICE = (
    "GPU {} is in MIG mode without a MIG device, which leaves nothing to use: create one "
    "(nvidia-smi mig -cgi … -C), or switch MIG off (nvidia-smi -mig 0)."
)

# A GPU's place in NVML's order, and of its MIG devices the place of one (None: the GPU itself).
Place = tuple[int, int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A GPU as far as CUDA_VISIBLE_DEVICES can name it; `slices` is None when not in MIG mode."""

    uuid: str
    slices: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Visible:
    """The places CUDA shows, in its order, and in sentences what it hides unexpectedly."""

    places: tuple[Place, ...] = ()
    problem: str | None = None


def visible_devices(value: str | None, devices: Sequence[Device]) -> Visible:
    """What CUDA shows of `devices` when CUDA_VISIBLE_DEVICES has this value (None: is not set)."""
    if value is None:
        named = Visible(places=tuple((index, None) for index in range(len(devices))))
    elif value.strip() in _NONE:
        named = Visible()
    else:
        named = _named(value, devices)
    places, problem = _expanded(named.places, devices)
    return Visible(places=places, problem=" ".join(filter(None, (named.problem, problem))) or None)


def _named(value: str, devices: Sequence[Device]) -> Visible:
    places: list[Place] = []
    entries = value.split(",")
    for entry in entries:
        if entry.strip() == _END:
            break
        place = _place(entry, entries[0], devices)
        if place is None:
            problem = (
                f"CUDA_VISIBLE_DEVICES={value}: {entry!r} names no GPU of this machine, so that "
                f"CUDA shows the {len(places)} before it; write numbers below {len(devices)}, or "
                "UUIDs as nvidia-smi -L prints them."
            )
            return Visible(places=tuple(places), problem=problem)
        if place in places:
            problem = f"CUDA_VISIBLE_DEVICES={value} names {entry!r} twice: CUDA then shows none."
            return Visible(problem=problem)
        places.append(place)
    return Visible(places=tuple(places))


def _place(entry: str, first: str, devices: Sequence[Device]) -> Place | None:
    if first.startswith("GPU-"):
        return _only([(n, None) for n, gpu in enumerate(devices) if _fits(entry, gpu.uuid, "GPU-")])
    if first.startswith("MIG-"):
        return _only(
            [
                (n, m)
                for n, gpu in enumerate(devices)
                for m, uuid in enumerate(gpu.slices or ())
                if _fits(entry, uuid, "MIG-")
            ]
        )
    number = _NUMBER.match(entry)
    if number is None or int(number[1]) >= len(devices):
        return None
    return (int(number[1]), None)


def _fits(entry: str, uuid: str, kind: str) -> bool:
    return entry.startswith(kind) and uuid.startswith(entry)


def _only(places: Sequence[Place]) -> Place | None:
    return places[0] if len(places) == 1 else None


def _expanded(
    places: Sequence[Place], devices: Sequence[Device]
) -> tuple[tuple[Place, ...], str | None]:
    """The same with MIG devices in place of their GPUs, cut to what CUDA shows, and why."""
    expanded: list[Place] = []
    empty: list[str] = []
    for index, mig in places:
        slices = devices[index].slices
        if mig is not None or slices is None:
            expanded.append((index, mig))
        elif slices:
            expanded.extend((index, number) for number in range(len(slices)))
        else:
            empty.append(str(index))
    first = next((place for place in expanded if place[1] is not None), None)
    if first is not None and len(expanded) > 1:
        return (first,), _ONE_SLICE.format(len(expanded))
    return tuple(expanded), _NO_SLICE.format(", ".join(empty)) if empty else None
