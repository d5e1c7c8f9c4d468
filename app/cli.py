"""The verbs of the command line, thin; also installed as programs of their own."""

import logging
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from app.about import release
from app.exit_codes import ExitCode
from app.observability.logging import configure
from app.plan import plan
from app.settings import BadSettingsError, Settings, names_of, read, termination_log, wants_jsonl
from app.termination import report

log = logging.getLogger(__name__)

_USAGE = """\
unigate serve [MODEL] [engine arguments] [--dry-run]
    Serve MODEL (a directory, or hf://organisation/model) on port 8000.
    Engine arguments are vLLM's, as for `vllm serve`; --host and --port are understood too.
    --dry-run prints the resolved configuration, the profile among it, and where each value
    comes from; it looks at the model and the GPUs, and starts nothing.

unigate profiles list|explain|estimate [MODEL] [--json]
    Which profiles there are for MODEL here, which one would be served and why, and the memory
    that it needs. `list-model-profiles` is the first one.

unigate download-to-cache|download-model|create-model-store|mirror
    Fetch a model without serving it. Each is a program of its own, and each has --help.

unigate --version
unigate --help

Settings are environment variables:
"""


# Verb → where it is.
VERBS = {
    "profiles": ("profiles", "profiles"),
    "list-model-profiles": ("profiles", "list_model_profiles"),
    "download-to-cache": ("models", "download_to_cache"),
    "download-model": ("models", "download_model"),
    "create-model-store": ("models", "create_model_store"),
    "mirror": ("models", "mirror"),
}


def main() -> NoReturn:
    """`unigate VERB …`."""
    match sys.argv[1:]:
        case ["serve", *words]:
            serve(words)
        case [verb, *words] if verb in VERBS:
            run_verb(verb, words, f"unigate {verb}")
        case ["--version"]:
            sys.stdout.write(f"unigate {release()}\n")
        case ["--help" | "-h" | "help"]:
            _print_help()
        case []:
            _print_help()
            sys.exit(ExitCode.BAD_SETTINGS)
        case words:
            sys.stderr.write(f"unigate: {words[0]!r} is not a verb; see unigate --help\n")
            sys.exit(ExitCode.BAD_SETTINGS)
    sys.exit(0)


def run_verb(verb: str, words: Sequence[str], program: str) -> NoReturn:
    """One of `VERBS`; each imports what it needs and no more."""
    from app.verbs.context import run  # noqa: PLC0415

    module, function = VERBS[verb]
    run(getattr(import_module(f"app.verbs.{module}"), function), program, words)


def nim_serve() -> NoReturn:
    """`nim-serve …`, the same as `unigate serve …`."""
    serve(sys.argv[1:])


def serve(words: Sequence[str]) -> NoReturn:
    """Serve until asked to stop."""
    if {"--help", "-h"} & set(words):
        _print_help()
        sys.exit(0)
    configure("INFO", jsonl=wants_jsonl())
    try:
        resolved = read()
        configure(resolved.settings.log_level, jsonl=resolved.settings.jsonl_logging)
        made = plan(resolved, [word for word in words if word != "--dry-run"])
    except BadSettingsError as error:
        report(ExitCode.BAD_SETTINGS, str(error), termination_log())
        sys.exit(ExitCode.BAD_SETTINGS)
    for sentence in resolved.warnings:
        log.warning("settings.unused", extra={"reason": sentence})
    if "--dry-run" in words:
        from app.verbs.context import run as run_dry  # noqa: PLC0415  # `serve` needs neither
        from app.verbs.dry_run import print_resolved  # noqa: PLC0415

        run_dry(lambda *_: print_resolved(made), "unigate serve --dry-run", ())
    # Here, so that the other verbs need not load a web server.
    from app.lifecycle import run  # noqa: PLC0415

    run(made)


def _print_help() -> None:
    sys.stdout.write(_USAGE)
    for name in Settings.model_fields:
        sys.stdout.write(
            f"  {names_of(name)[0]}\n      {Settings.model_fields[name].description}\n"
        )
