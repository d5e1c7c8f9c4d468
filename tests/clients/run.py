"""Runs each client's tests in its own environment: `make clients`, or names of folders behind it.

The environments are kept in build/clients; each is made anew when its requirements change.
"""

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from tests.support.server import Server, clean_environment

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ENVIRONMENTS = ROOT / "build" / "clients"
DEMO = ROOT / "deploy" / "demo" / "unigate-demo"


def python_of(client: Path) -> str:
    """The interpreter of the client's environment, which is made if need be."""
    place = ENVIRONMENTS / client.name
    wanted = (client / "requirements.txt").read_text()
    stamp = place / "requirements.txt"
    python = place / "bin" / "python"
    if not stamp.is_file() or stamp.read_text() != wanted:
        sys.stdout.write(f"{client.name}: setting up {place.relative_to(ROOT)} …\n")
        sys.stdout.flush()
        venv.create(place, clear=True, with_pip=True)
        pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
        words = ["--requirement", str(client / "requirements.txt")]
        subprocess.run([*pip, *words], check=True)  # noqa: S603  # ours
        stamp.write_text(wanted)
    return str(python)


def run(client: Path, url: str) -> int:
    """Pytest's exit code; without this project's configuration, which is for its own tests."""
    place = str(client)
    alone = ["-c", "/dev/null", "--rootdir", place, "--confcutdir", place, "-p", "no:cacheprovider"]
    return subprocess.run(  # noqa: S603  # ours
        [python_of(client), "-B", "-m", "pytest", "-q", *alone, place],
        env=clean_environment(URL=url),
        check=False,
    ).returncode


def main() -> None:
    """All clients, or those that are named."""
    every = sorted(path.parent for path in HERE.glob("*/requirements.txt"))
    names = sys.argv[1:] or [client.name for client in every]
    unknown = set(names) - {client.name for client in every}
    if unknown:
        sys.exit(f"no such client: {', '.join(sorted(unknown))}")
    with (
        tempfile.TemporaryDirectory() as scratch,
        Server(str(DEMO), log=Path(scratch) / "log") as server,
    ):
        server.wait_until_ready()
        failed = [c.name for c in every if c.name in names and run(c, server.url)]
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
