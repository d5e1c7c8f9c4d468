"""`unigate serve --dry-run`: what would be served, and who decided each value."""

import os
import sys
from pathlib import Path

from app.arguments import Argument
from app.compose import Choice, situation
from app.plan import Plan
from app.settings import Resolved, Settings
from profiles.source import LocalModel

_SECRET = ("token", "key", "password", "secret")


def print_resolved(plan: Plan) -> None:
    """One line per value: name, value, source; secrets masked.

    Raises:
        ProfilesError: no profile fits, or the model is not there.
    """
    found = situation(plan)
    choice = Choice(plan, found, found.select())
    profile = choice.selection.profile
    rows = [
        ("model_path", plan.source.uri, plan.sources["model_path"]),
        ("served_model_name", ",".join(plan.served_names), plan.sources["served_model_name"]),
        ("host", plan.host, plan.sources["host"]),
        ("port", str(plan.port), plan.sources["port"]),
        ("profile", f"{profile.id} ({profile.name})", _who(choice)),
        ("gpus", _gpus(choice), "chosen for this machine"),
    ]
    rows += _setting_rows(plan.resolved, {name for name, _, _ in rows} | {"model_profile"})
    directory, notes = _files(choice)
    rows += [(item.flag, _shown(item), item.source) for item in choice.arguments(directory)]
    width = max(len(name) for name, _, _ in rows)
    for name, value, source in rows:
        sys.stdout.write(f"{name:<{width}}  {value}  [{source}]\n")
    for sentence in (*found.notes, *choice.selection.warnings, *notes):
        sys.stderr.write(f"warning: {sentence}\n")


def _files(choice: Choice) -> tuple[Path, list[str]]:
    """Where the model's files are, and what cannot be said while they are not here."""
    source = choice.source
    if isinstance(source, LocalModel):
        return source.path, []
    return Path(os.devnull), [
        "the parsers of tool calls and reasoning are chosen by the model's chat template, once it "
        "has been fetched"
    ]


def _who(choice: Choice) -> str:
    """Who decided the profile."""
    pinned = choice.plan.resolved.sources.get("model_profile", "")
    return pinned if choice.selection.is_pinned else "chosen for this machine"


def _gpus(choice: Choice) -> str:
    """The devices, by the numbers that the driver has for them here."""
    gpus = {gpu.index: gpu for gpu in choice.situation.hardware.gpus}
    shown = [f"{index} ({gpus[index].name})" for index in choice.selection.gpu_indices]
    return ", ".join(shown) or "none: it runs on the CPU"


def _shown(argument: Argument) -> str:
    secret = any(word in argument.key for word in _SECRET)
    return "***" if secret else " ".join(argument.values) or "on"


def _setting_rows(resolved: Resolved, told: set[str]) -> list[tuple[str, str, str]]:
    return [
        (name, _said(getattr(resolved.settings, name)), resolved.sources.get(name, "default"))
        for name in Settings.model_fields
        if name not in told
    ]


def _said(value: object) -> str:
    """As a variable has it."""
    # SecretStr prints itself masked.
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
