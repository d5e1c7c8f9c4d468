"""Which profiles there are for a model on this machine, before anything is chosen."""

from collections.abc import Mapping
from typing import Any

from profiles.catalogue import recognise
from profiles.derive import derive
from profiles.hardware import Hardware
from profiles.memory import ModelFacts
from profiles.parallelism import splits_blocks
from profiles.profile import Profile


def offer(
    config: Mapping[str, Any] | None,
    model: ModelFacts,
    hardware: Hardware,
    *,
    name: str,
    tp: int | None = None,
    pp: int | None = None,
) -> tuple[Profile, ...]:
    """The catalogue's profiles for the model, then derived ones.

    `config` is the model's config.json, `name` its repository or directory; `tp` and `pp` are what
    the user asks for.

    Raises:
        CatalogueError: the model's file in the catalogue is wrong.
    """
    family = recognise(config, name) if hardware.gpus else None
    tuned = family.profiles(model.precision, name) if family is not None else ()
    derived = derive(model, hardware, tp=tp, pp=pp)
    return tuple(
        profile
        for profile in (*tuned, *derived)
        # What is asked for stays: the engine says why it cannot be.
        if profile.tp == tp or splits_blocks(config, tp=profile.tp) is None
    )
