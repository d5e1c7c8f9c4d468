"""`download-to-cache`, `download-model`, `create-model-store` and `mirror`."""

import argparse
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from app.compose import fetch_model, situation
from app.plan import Plan
from app.verbs.context import changed, parser, planned, settings
from profiles.errors import NoProfileFitsError, UnknownProfileError
from profiles.profile import Profile
from profiles.profile_name import find, says_default
from profiles.progress import Progress
from profiles.progress_report import ProgressReport
from profiles.source import LocalModel, ModelSource, parse_source

_PROFILE = "an id or a name out of list-model-profiles; without it the one that would be served"


@contextmanager
def _interruptible() -> Iterator[None]:
    """The first Ctrl-C or SIGTERM tidies up and ends with the shell's code for it, the next kills.

    Zero would tell the job that fills a cache that it is full.
    """

    def leave(number: int, frame: object) -> None:
        del frame
        signal.signal(number, signal.SIG_DFL)
        raise KeyboardInterrupt(number)

    _handle_interrupts(leave)
    try:
        yield
    except KeyboardInterrupt as interrupt:
        sys.stderr.write("stopped; what has arrived is kept for the next time\n")
        sys.exit(128 + int(interrupt.args[0]))


def _handle_interrupts(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup, or behind & in a script
            signal.signal(number, handler)


@_interruptible()
def download_to_cache(program: str, words: list[str]) -> None:
    """Fetch what one or more profiles need into the cache."""
    reader = _parser(program, "Fetch a model into the cache, so that it is served without network.")
    wanted = reader.add_mutually_exclusive_group()
    wanted.add_argument("--all", action="store_true", help="what any profile needs")
    wanted.add_argument("-p", "--profile", "--profiles", nargs="+", metavar="ID", help=_PROFILE)
    reader.add_argument("--manifest-file", type=Path, help="as NIM_MANIFEST_PATH")
    # NIM 1.x: adapters had profiles, and files, of their own.
    reader.add_argument("--lora", action="store_true", help=argparse.SUPPRESS)
    options = reader.parse_args(words)
    resolved = settings()
    if options.manifest_file:
        resolved = changed(resolved, manifest_path=options.manifest_file)
    made = planned(resolved, options.model_uri or options.model)
    for source in _sources(program, made, options.profile or [], every=options.all):
        sys.stdout.write(f"{_fetch(made, source)}\n")


@_interruptible()
def download_model(program: str, words: list[str]) -> None:
    """Fetch a model and put it into a directory as plain files, without serving it."""
    reader = _parser(program, "Fetch a model, and put its files into a directory.")
    reader.add_argument("--workspace-path", type=Path, required=True, metavar="DIR")
    reader.add_argument("-p", "--profile", metavar="ID", help=_PROFILE)
    options = reader.parse_args(words)
    _put(program, options, options.workspace_path)


@_interruptible()
def create_model_store(program: str, words: list[str]) -> None:
    """The same under the name and with the flags of NIM's."""
    reader = _parser(program, "Fetch a profile's model, and put its files into a directory.")
    reader.add_argument("-m", "--model-store", type=Path, required=True, metavar="DIR")
    reader.add_argument("--model-repo", metavar="URI", help="as NIM_MODEL_PATH")
    reader.add_argument("-p", "--profile", metavar="ID", help=_PROFILE)
    options = reader.parse_args(words)
    options.model = options.model or options.model_repo
    _put(program, options, options.model_store)


@_interruptible()
def mirror(program: str, words: list[str]) -> None:
    """Copy a model to a bucket or a directory, for NIM_REPOSITORY_OVERRIDE to point at."""
    reader = _parser(program, "Copy a model to a bucket or a directory that stands in for it.")
    reader.add_argument("--to", required=True, metavar="URI", help="s3://, gs:// or a directory")
    options = reader.parse_args(words)
    made = planned(settings(), options.model_uri or options.model)
    directory = _fetch(made, made.source)
    # The clients of object stores take 0.3 s to import.
    from profiles.upload import mirror as upload  # noqa: PLC0415

    progress = Progress()
    source = None if isinstance(made.source, LocalModel) else made.source
    if "://" in options.to:
        # Handlers of Python's wait until a store's client returns; there is nothing to tidy up.
        _handle_interrupts(signal.SIG_DFL)
    with ProgressReport(progress, terminal=sys.stderr):
        place = upload(
            directory,
            options.to,
            access=made.resolved.access,
            source=source,
            progress=progress,
        )
    sys.stdout.write(f"{place}\n")


def _parser(program: str, sentence: str) -> argparse.ArgumentParser:
    reader = parser(program, sentence)
    reader.add_argument("model", nargs="?", help="as NIM_MODEL_PATH")
    reader.add_argument("--model-uri", metavar="URI", help="the same")
    return reader


def _put(program: str, options: argparse.Namespace, target: Path) -> None:
    made = planned(settings(), options.model_uri or options.model)
    (source,) = _sources(program, made, [options.profile] if options.profile else [], every=False)
    directory = _fetch(made, source)
    from profiles.workspace import materialise  # noqa: PLC0415  # as above

    sys.stdout.write(f"{materialise(directory, target)}\n")


def _sources(program: str, made: Plan, pins: list[str], *, every: bool) -> list[ModelSource]:
    """Where the weights of the profiles come from, each place once."""
    pins = [pin for pin in pins if not says_default(pin)]
    found = situation(made)
    chosen: list[Profile] = list(found.profiles) if every else []
    for pin in pins:
        try:
            chosen.append(find(pin, found.profiles)[0])
        except UnknownProfileError as error:
            ids = "\n".join(f"  {profile.id} ({profile.name})" for profile in found.profiles)
            raise UnknownProfileError(
                f"Not all of the provided profiles are supported: {error}\nThese are:\n{ids}"
            ) from None
    if not chosen:
        try:
            chosen.append(found.select().profile)
        except NoProfileFitsError as error:
            # A job that fills a cache need not run on the machine that will serve from it.
            sys.stderr.write(
                f"{program}: {error}\nFetching the model's own weights all the same.\n"
            )
            return [made.source]
    weights = [profile.weights for profile in chosen]
    return list(dict.fromkeys(parse_source(w) if w else made.source for w in weights))


def _fetch(made: Plan, source: ModelSource) -> Path:
    return fetch_model(made, source, Progress())
