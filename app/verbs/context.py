"""What every verb starts with: settings out of the environment, and a model."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NoReturn

from app.exit_codes import code_of
from app.observability.logging import configure
from app.plan import Plan, plan
from app.settings import BadSettingsError, Resolved, read
from profiles.errors import ProfilesError

ENGINE_ARGUMENTS = "Behind -- engine arguments may follow, as for `unigate serve`."


class VerbError(Exception):
    """The words of a verb contradict each other; the message is for the user."""


def settings() -> Resolved:
    """The environment's settings; raises `BadSettingsError`."""
    configure("WARNING")
    resolved = read()
    configure("INFO" if resolved.settings.log_level == "DEBUG" else "WARNING")
    return resolved


def planned(resolved: Resolved, model: str | None, words: Sequence[str] = ()) -> Plan:
    """The plan that `serve` would make of the same settings and words."""
    return plan(resolved, [*([model] if model else []), *words])


def changed(resolved: Resolved, **values: object) -> Resolved:
    """The settings with what the verb's own words say in place of the environment's."""
    return replace(resolved, settings=resolved.settings.model_copy(update=values))


def parser(program: str, sentence: str) -> argparse.ArgumentParser:
    """A parser whose errors exit with the documented code, which is argparse's own too."""
    return argparse.ArgumentParser(prog=program, description=sentence)


def run(verb: Callable[[str, list[str]], None], program: str, words: Sequence[str]) -> NoReturn:
    """Run a verb; errors become one sentence on stderr and the documented exit code."""
    try:
        verb(program, list(words))
    except (BadSettingsError, ProfilesError, VerbError) as error:
        sys.stderr.write(f"{program}: {error}\n")
        sys.exit(code_of(error))
    except BrokenPipeError:  # `| head`
        sys.stderr.close()
    sys.exit(0)
