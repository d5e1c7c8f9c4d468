"""Compiles the stub once per session, and starts processes that see a described machine."""

import atexit
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import pytest

from profiles.hardware import Hardware
from profiles.hardware.usage import GpuUsage
from tests.support.nvml.machines import Machine

_SOURCE = Path(__file__).with_name("stub.c")
_ROOT = Path(__file__).parents[3]
_LIBRARY = "libnvidia-ml.so.1"
_FLAGS = ("-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", f"-Wl,-soname,{_LIBRARY}")

# Answers until its input ends: importing once per machine would take most of the tests' time. The
# stub reads its variable anew in every session.
_ASK = """
import os, pickle, sys
from pathlib import Path
from profiles.hardware.nvml import detect, usages
while True:
    try:
        what, machine, *asked = pickle.load(sys.stdin.buffer)
    except EOFError:
        break
    os.environ["NVML_STUB_MACHINE"] = machine
    if what == "usage":
        samples = usages(*asked)
        found = next(samples, None)
        samples.close()
    else:
        visible, meminfo, dev = asked
        found = detect(visible=visible, meminfo=Path(meminfo), dev=Path(dev))
    pickle.dump(found, sys.stdout.buffer)
    sys.stdout.buffer.flush()
"""


def environment_for(machine: Machine) -> dict[str, str]:
    """Variables, to be added to a process's environment, with which it sees this machine's GPUs.

    GPUs that share the host's memory find that of the real host.
    """
    place = _place_for(machine)
    inherited = os.environ.get("LD_LIBRARY_PATH")
    path = f"{place}{os.pathsep}{inherited}" if inherited else str(place)
    return {"LD_LIBRARY_PATH": path, "NVML_STUB_MACHINE": str(place / "machine")}


@cache
def detected(machine: Machine, visible: str | None = None, *, dev: Path | None = None) -> Hardware:
    """What a machine is detected as, in a process that sees it and its host's memory."""
    place = _place_for(machine)
    found = _answer("hardware", machine, visible, str(place / "meminfo"), str(dev or place))
    assert isinstance(found, Hardware)
    return found


def usage_of(machine: Machine, visible: str | None = None) -> tuple[GpuUsage, ...] | None:
    """What its GPUs do, in a process that sees them; None if it is not even asked again."""
    found = _answer("usage", machine, visible)
    assert found is None or isinstance(found, tuple)
    return found


def _answer(what: str, machine: Machine, *asked: str | None) -> object:
    detector = _detector(Machine(name="any", has_library=machine.has_library))
    assert detector.stdin is not None
    assert detector.stdout is not None
    pickle.dump((what, str(_place_for(machine) / "machine"), *asked), detector.stdin)
    detector.stdin.flush()
    return pickle.load(detector.stdout)  # noqa: S301  # our own process wrote it


@cache
def _detector(machine: Machine) -> subprocess.Popen[bytes]:
    detector = subprocess.Popen(  # noqa: S603  # our own script
        [sys.executable, "-W", "error", "-c", _ASK],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=_ROOT,
        env={**os.environ, **environment_for(machine)},
    )
    atexit.register(detector.communicate)
    return detector


@cache
def _place_for(machine: Machine) -> Path:
    """A directory with the library and the descriptions that make up the machine."""
    place = Path(tempfile.mkdtemp(dir=_directory()))
    library = place / _LIBRARY
    if machine.has_library:
        library.symlink_to(_stub())
    else:
        # Where a real driver is installed this file hides it: the loader finds it first, and what
        # is no library cannot be loaded.
        library.touch()
    (place / "machine").write_text(machine.description, encoding="ascii")
    (place / "meminfo").write_text(machine.meminfo, encoding="ascii")
    return place


@cache
def _stub() -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        missing = "no C compiler for the stub of NVML; on Debian and Ubuntu: apt-get install gcc"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    library = _directory() / _LIBRARY
    command = [compiler, *_FLAGS, "-o", str(library), str(_SOURCE)]
    subprocess.run(command, check=True, timeout=60)  # noqa: S603  # our own source
    return library


@cache
def _directory() -> Path:
    """One for the session, gone with it."""
    directory = Path(tempfile.mkdtemp(prefix="unigate-nvml-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory
