"""`list-model-profiles` and `unigate profiles list|explain|estimate`."""

import argparse
import json
import sys
from collections.abc import Sequence

from app.compose import situation
from app.plan import NoModelError
from app.verbs import estimate
from app.verbs.context import ENGINE_ARGUMENTS, changed, parser, planned, settings
from profiles.hardware.nvml import detect
from profiles.selection.listing import listing, listing_as_dict

_NO_MODEL = "no model is set: name one, or set NIM_MODEL_PATH, to see its profiles"


def list_model_profiles(program: str, words: list[str]) -> None:
    """NIM's listing, in NIM's shape."""
    arguments = _parser(program, "List the model's profiles for this machine.").parse_args(words)
    resolved = settings()
    shown = listing_as_dict if arguments.json else listing
    try:
        made = planned(resolved, arguments.model, arguments.words)
    except NoModelError:
        _print(shown(detect(visible=resolved.visible_devices), ()))
        sys.stderr.write(f"{program}: {_NO_MODEL}\n")
        return
    found = situation(made)
    _tell(program, found.notes)
    _print(shown(found.hardware, found.appraise()))


def explain(program: str, words: list[str]) -> None:
    """The choice and its reasons, line by line; exit code 3 when there is none."""
    reader = _parser(program, "Say which profile would be served here, and why no other.")
    reader.add_argument("-p", "--profile", help="pin this one, as NIM_MODEL_PROFILE would")
    arguments = reader.parse_args(words)
    resolved = settings()
    if arguments.profile:
        resolved = changed(resolved, model_profile=arguments.profile)
    found = situation(planned(resolved, arguments.model, arguments.words))
    _tell(program, found.notes)
    selection = found.select()
    _print(selection.as_dict() if arguments.json else "\n".join(selection.explanation()))


def profiles(program: str, words: list[str]) -> None:
    """`unigate profiles …`."""
    match words:
        case ["list", *rest]:
            list_model_profiles(f"{program} list", rest)
        case ["explain", *rest]:
            explain(f"{program} explain", rest)
        case ["estimate", *rest]:
            estimate.estimate(f"{program} estimate", rest)
        case _:
            reader = parser(program, "Profiles of a model on this machine.")
            reader.add_argument("verb", choices=["list", "explain", "estimate"])
            reader.parse_args(words[:1])


def _parser(program: str, sentence: str) -> argparse.ArgumentParser:
    reader = parser(program, f"{sentence} {ENGINE_ARGUMENTS}")
    reader.add_argument("model", nargs="?", help="as NIM_MODEL_PATH")
    reader.add_argument("words", nargs="*", help=argparse.SUPPRESS)
    reader.add_argument("--json", action="store_true", help="for programs")
    return reader


def _tell(program: str, notes: Sequence[str]) -> None:
    for note in notes:
        sys.stderr.write(f"{program}: {note}\n")


def _print(answer: str | dict[str, object]) -> None:
    text = answer if isinstance(answer, str) else json.dumps(answer, indent=2)
    sys.stdout.write(text + "\n")
