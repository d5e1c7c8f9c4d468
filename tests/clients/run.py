"""Runs each client's tests in its own environment: `make clients`, or names of folders behind it.

The environments are kept in build/clients; each is made anew when what it pins changes. Clients
find the built-in model at URL and, where one of them has tests of embeddings or of reranking, such
a model at EMBEDDING_URL or RERANKER_URL.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.support import minilm
from tests.support.server import Server, clean_environment

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ENVIRONMENTS = ROOT / "build" / "clients"
DEMO = ROOT / "deploy" / "demo" / "unigate-demo"
# Nobody waits for these tests to say that a machine is slow.
SLOW = 4.0

_SET_UP_S = 600
_TESTS_S = 900


@dataclass(frozen=True, slots=True)
class Kind:
    """How the clients of a language are set up and tested; both get its folder and environment."""

    set_up: Callable[[Path, Path], None]
    command: Callable[[Path, Path], list[str]]


def set_up_python(client: Path, place: Path) -> None:
    venv.create(place, clear=True, with_pip=True)
    pip = [str(place / "bin" / "pip"), "--disable-pip-version-check", "--quiet", "install"]
    words = ["--requirement", str(client / "requirements.txt")]
    subprocess.run([*pip, *words], check=True, timeout=_SET_UP_S)  # noqa: S603  # ours


def pytest_of(client: Path, place: Path) -> list[str]:
    """Without this project's configuration, which is for its own tests."""
    own = client / "pytest.ini"
    configuration = str(own) if own.is_file() else os.devnull
    alone = ["-c", configuration, "--rootdir", str(client), "--confcutdir", str(client)]
    python = [str(place / "bin" / "python"), "-B", "-m", "pytest", "-q", "-rsx"]
    return [*python, *alone, "-p", "no:cacheprovider", str(client)]


def set_up_node(client: Path, place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(client / name, place)
    npm = ["npm", "ci", "--engine-strict", "--silent"]
    subprocess.run(npm, cwd=place, check=True, timeout=_SET_UP_S)  # noqa: S603  # ours


def node_of(client: Path, place: Path) -> list[str]:
    """On copies of the tests: Node looks for packages only above the file that imports them."""
    tests = [shutil.copy(test, place) for test in sorted(client.glob("*.test.mjs"))]
    return ["node", "--test", "--test-timeout=120000", "--test-reporter=spec", *map(str, tests)]


# By the file that pins what a client needs.
KINDS = {
    "requirements.txt": Kind(set_up_python, pytest_of),
    "package-lock.json": Kind(set_up_node, node_of),
}


def all_clients() -> dict[Path, str]:
    """Each client's folder, and the file in it that pins what it needs."""
    found = {path.parent: path.name for pins in KINDS for path in HERE.glob(f"*/{pins}")}
    return dict(sorted(found.items()))


def set_up(client: Path, pins: Path) -> Path:
    """The client's environment, which is made if need be."""
    place = ENVIRONMENTS / client.name
    wanted = pins.read_text()
    stamp = place / "pins"
    if not stamp.is_file() or stamp.read_text() != wanted:
        say(client, f"setting up {place.relative_to(ROOT)} …")
        KINDS[pins.name].set_up(client, place)
        stamp.write_text(wanted)
    return place


def run(client: Path, pins: str, urls: dict[str, str]) -> bool:
    """Whether its tests pass."""
    try:
        place = set_up(client, client / pins)
        command = KINDS[pins].command(client, place)
        return not subprocess.run(  # noqa: S603  # ours
            command,
            env=clean_environment(**urls),
            cwd=place,  # for what a client leaves behind
            check=False,
            timeout=_TESTS_S,
        ).returncode
    except (OSError, subprocess.SubprocessError) as error:
        say(client, f"cannot be run: {error}")  # without npm, for one
        return False


def say(client: Path, what: str) -> None:
    sys.stdout.write(f"{client.name}: {what}\n")
    sys.stdout.flush()


def serve_demo(scratch: Path) -> Server:
    return Server(str(DEMO), log=scratch / "log", slow=SLOW)


def serve_embedding(scratch: Path) -> Server:
    return minilm.serve(log=scratch / "embedding-log", slow=SLOW)


def serve_reranker(scratch: Path) -> Server:
    # torch takes seconds to import, and most clients want no reranker.
    from tests.support.cross_encoder import make_cross_encoder  # noqa: PLC0415

    place = scratch / "tiny-reranker"
    make_cross_encoder(minilm.directory(), place)
    return Server(str(place), log=scratch / "reranker-log", slow=SLOW)


# Variable with the model's address → what is in the name of tests that want it, and who serves it.
MODELS: dict[str, tuple[str, Callable[[Path], Server]]] = {
    "URL": ("", serve_demo),
    "EMBEDDING_URL": ("embeddings", serve_embedding),
    "RERANKER_URL": ("reranking", serve_reranker),
}


def main() -> None:
    """All clients, or those that are named."""
    every = all_clients()
    names = sys.argv[1:] or [client.name for client in every]
    unknown = set(names) - {client.name for client in every}
    if unknown:
        sys.exit(f"no such client: {', '.join(sorted(unknown))}")
    chosen = {client: pins for client, pins in every.items() if client.name in names}
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        urls = {}
        for variable, (subject, serve) in MODELS.items():
            if any(any(client.glob(f"*{subject}*")) for client in chosen):
                server = stack.enter_context(serve(scratch))
                server.wait_until_ready()
                urls[variable] = server.url
        failed = [client.name for client, pins in chosen.items() if not run(client, pins, urls)]
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
