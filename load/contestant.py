"""A front end under measurement: how it is started, and which processes it consists of.

All get the same model, the same engine options and the same environment.
"""

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from load.health import status
from load.processes import Processes, memory_mib

ROOT = Path(__file__).parents[1]
LONGEST_START_S = 600.0
_LONGEST_END_S = 30.0
_LOOK_EVERY_S = 0.02
# `vllm serve`, which is what starts the Rust front end. The command itself asks for the release of
# a distribution called vllm, which the CPU wheel is not.
_VLLM_SERVE = """
from vllm.entrypoints.cli.serve import ServeSubcommand
from vllm.utils.argparse_utils import FlexibleArgumentParser
serve = ServeSubcommand()
parser = FlexibleArgumentParser()
serve.subparser_init(parser.add_subparsers())
said = parser.parse_args()
serve.validate(said)
serve.cmd(said)
"""


class ContestantError(Exception):
    """It cannot be measured; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """One that is ready."""

    name: str
    url: str
    live: str
    """The path of its health."""
    live_s: float
    """From exec to the first 200 of `live`."""
    ready_s: float
    """From exec to the first moment at which it takes requests."""
    roots: tuple[int, ...]

    def processes(self) -> Processes:
        """Its processes; `ContestantError` when none of them is an engine's."""
        found = Processes.below(*self.roots)
        if not found.engine:
            raise ContestantError(f"{self.name} has no process that is known as the engine's")
        return found

    def memory(self) -> dict[str, float]:
        """What is held by the front end, and by all of it."""
        found = self.processes()
        front_end = memory_mib(found.front_end)
        everything = memory_mib(found.front_end + found.engine)
        return {
            "rss_mib": front_end["rss"],
            "pss_mib": front_end["pss"],
            "pss_with_engine_mib": everything["pss"],
        }


Start = Callable[[str, list[str]], AbstractContextManager[Contestant]]
"""Starts one with a model and engine options, waits until it is ready, and ends it."""


@contextmanager
def unigate(model: str, options: list[str]) -> Iterator[Contestant]:
    """This server, of the checkout that this file is in."""
    with _unigate("unigate", ROOT, model, options) as it:
        yield it


@contextmanager
def before(model: str, options: list[str]) -> Iterator[Contestant]:
    """The same of another checkout, to see what a change has changed."""
    checkout = os.environ.get(_BEFORE, "")
    if not checkout or not (Path(checkout) / "app").is_dir():
        raise ContestantError(f"name another checkout of this server in {_BEFORE}")
    with _unigate("before", Path(checkout).resolve(), model, options) as it:
        yield it


def _unigate(
    name: str, checkout: Path, model: str, options: list[str]
) -> AbstractContextManager[Contestant]:
    port = _free_port()
    health = "/v1/health"
    command = [_beside_python("unigate"), "serve", model, *options, *_listen(port)]
    live, ready = f"{health}/live", f"{health}/ready"
    return _running(name, [command], port, live=live, ready=ready, checkout=checkout)


@contextmanager
def vllm(model: str, options: list[str]) -> Iterator[Contestant]:
    """`vllm serve`, by its module."""
    port = _free_port()
    with _running("vllm serve", [_vllm(model, options, port)], port) as it:
        yield it


@contextmanager
def nginx(model: str, options: list[str]) -> Iterator[Contestant]:
    """NIM's shape: nginx in front of `vllm serve`."""
    program = find_nginx(f"{os.environ.get('PATH', '')}:/usr/sbin")
    port, upstream = _free_port(), _free_port()
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)  # its workers are nobody's when it is started by root
        file = Path(place) / "nginx.conf"
        file.write_text(nginx_configuration(place, port, upstream))
        commands = [_vllm(model, options, upstream), [program, "-c", str(file)]]
        with _running("nginx → vllm serve", commands, port) as it:
            yield it


@contextmanager
def vllm_rs(model: str, options: list[str]) -> Iterator[Contestant]:
    """Of vLLM's two front ends the one in Rust: a binary that only its CUDA wheel has."""
    if _RUST_BINARY not in os.environ and not _ships_rust():
        raise ContestantError(f"vllm-rs is not in this vLLM; name its binary in {_RUST_BINARY}")
    port = _free_port()
    command = [sys.executable, "-c", _VLLM_SERVE, "serve", model, *options, *_listen(port)]
    rust = {"VLLM_USE_RUST_FRONTEND": "1"}
    with _running("vllm-rs", [command], port, extra=rust) as it:
        yield it


CONTESTANTS: dict[str, Start] = {
    "unigate": unigate,
    "vllm": vllm,
    "nginx": nginx,
    "vllm-rs": vllm_rs,
    "before": before,
}
_BEFORE = "LOAD_BEFORE"
_RUST_BINARY = "VLLM_RUST_FRONTEND_PATH"


def find_nginx(path: str) -> str:
    """The program, on this path; `ContestantError` when it is not there."""
    if program := shutil.which("nginx", path=path):
        return program
    raise ContestantError("nginx is missing; on Debian and Ubuntu: apt-get install nginx-light")


def nginx_configuration(place: str, port: int, upstream: int) -> str:
    """What nginx is told: where it may write, where it listens, and the port of the engine."""
    template = Path(__file__).with_name("nginx.conf").read_text()
    return template.format(place=place, port=port, upstream=upstream)


def _ships_rust() -> bool:
    found = importlib.util.find_spec("vllm")
    return bool(found and found.origin and Path(found.origin).with_name("vllm-rs").is_file())


def _beside_python(program: str) -> str:
    return str(Path(sys.executable).with_name(program))


def _listen(port: int) -> list[str]:
    return ["--host", "127.0.0.1", "--port", str(port)]


def _vllm(model: str, options: list[str], port: int) -> list[str]:
    module = [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
    return [*module, "--model", model, *options, *_listen(port)]


def _free_port() -> int:
    """A port nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _environment(checkout: Path, extra: Mapping[str, str]) -> dict[str, str]:
    defaults = {"VLLM_CPU_KVCACHE_SPACE": "2", "UNIGATE_DRAIN_DELAY_S": "0"}
    # Before what is installed: an editable installation may be another checkout's.
    path = os.pathsep.join(filter(None, [str(checkout), os.environ.get("PYTHONPATH")]))
    return {**defaults, **os.environ, **extra, "PYTHONPATH": path}


@contextmanager
def _running(
    name: str,
    commands: list[list[str]],
    port: int,
    *,
    live: str = "/health",
    ready: str = "/health",
    checkout: Path = ROOT,
    extra: Mapping[str, str] | None = None,
) -> Iterator[Contestant]:
    """Start the commands, wait until they are ready, and end all they started."""
    started_s = time.monotonic()
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryFile() as log, contextlib.ExitStack() as stack:
        processes = []
        for command in commands:
            process = subprocess.Popen(  # noqa: S603  # the servers under measurement
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=_environment(checkout, extra or {}), cwd=checkout, start_new_session=True,
            )  # fmt: skip
            stack.callback(_end, process)
            processes.append(process)

        def answered_s(path: str) -> float:
            while status(url, path) != 200:  # noqa: PLR2004  # OK
                for process in processes:
                    if process.poll() is not None:
                        log.seek(0)
                        said = log.read().decode(errors="replace")[-2000:]
                        raise ContestantError(f"{name} ended with {process.returncode}:\n{said}")
                if time.monotonic() - started_s > LONGEST_START_S:
                    raise ContestantError(f"{name} is not ready after {LONGEST_START_S:g} s")
                time.sleep(_LOOK_EVERY_S)
            return time.monotonic() - started_s

        yield Contestant(
            name=name,
            url=url,
            live=live,
            live_s=answered_s(live),
            ready_s=answered_s(ready),
            roots=tuple(process.pid for process in processes),
        )


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ask it to end, then kill what is left of its session."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=_LONGEST_END_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
