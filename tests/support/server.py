"""The real server as a process of its own, with its log and its children in view."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import psutil

from tests.support.wait import wait_until

UNIGATE = str(Path(sys.executable).with_name("unigate"))
ENGINE_ARGUMENTS = ("--dtype", "float32", "--enforce-eager")
LISTEN = ("--port", "0", "--host", "127.0.0.1")
# An engine start on two cores that are not idle.
START_S = 120.0
# Made once: making one for each request takes 30 ms of a test that shares its cores with an engine.
_TLS = httpx.create_ssl_context()
_PORT = re.compile(r"http\.listening\b.*?\bport\W{1,2}(\d+)")


def clean_environment(**extra: str) -> dict[str, str]:
    """The environment without anything that configures a server."""
    foreign = ("NIM_", "UNIGATE_", "VLLM_", "HF_", "SAGEMAKER_")
    mine = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    ours = {
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "UNIGATE_DRAIN_DELAY_S": "0",
        # Two cores for a test, a server that starts and another that waits: the tests that are
        # about stalls set their own limit.
        "UNIGATE_STALL_AFTER_S": "120",
    }
    return {**mine, **ours, **extra}


def start(*words: str, log: Path, **environment: str) -> "subprocess.Popen[bytes]":
    """A server's process in a session of its own, which writes all that it says into a file."""
    with log.open("wb") as output:
        return subprocess.Popen(  # noqa: S603  # our own programs, and vLLM
            words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=clean_environment(**environment),
            start_new_session=True,
        )


class Server:
    """`unigate serve`, started at once; what it left behind is killed at the end."""

    def __init__(
        self,
        *words: str,
        log: Path,
        slow: float = 1.0,
        environment: Mapping[str, str] | None = None,
        engine_arguments: tuple[str, ...] = ENGINE_ARGUMENTS,
        wrapper: tuple[str, ...] = (),
    ) -> None:
        """A `wrapper` is a command that becomes the one behind it."""
        self.log_path = log
        self.slow = slow
        self._known: dict[int, psutil.Process] = {}
        self.started_s = time.monotonic()
        arguments = (*words[:1], *engine_arguments, *LISTEN, *words[1:])
        self.process = start(*wrapper, UNIGATE, "serve", *arguments, log=log, **(environment or {}))

    def __enter__(self) -> "Server":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.remember()
        if self.process.poll() is None:
            self.keep_metrics()
            self.process.kill()
            self.process.wait()
        for process in self.leftovers():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def keep_metrics(self) -> None:
        """Write them beside the log, if it gives them to anybody."""
        with contextlib.suppress(httpx.HTTPError, AssertionError):
            text = self.get("/v1/metrics", timeout=2.0).text
            self.log_path.with_name("metrics").write_text(text)

    @property
    def log(self) -> str:
        """Everything written to stdout and stderr so far."""
        return self.log_path.read_text(errors="replace")

    @property
    def cause(self) -> str:
        """Why it ended: the last critical line of its log."""
        return [line for line in self.log.splitlines() if line.startswith("CRITICAL")][-1]

    @property
    def port(self) -> int:
        """The port it listens on, once it does."""
        wait_until(
            lambda: _PORT.search(self.log) or self.process.poll() is not None,
            within_s=10,
            what="the server says where it listens",
        )
        found = _PORT.search(self.log)
        assert found, f"the server ended with {self.process.poll()}:\n{self.log}"
        return int(found[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, **options: Any) -> httpx.Response:
        timeout = options.pop("timeout", 10.0)
        return httpx.get(self.url + path, timeout=timeout, verify=_TLS, **options)

    def post(self, path: str, json: Any = None, **options: Any) -> httpx.Response:
        timeout = options.pop("timeout", 60.0)
        return httpx.post(self.url + path, json=json, timeout=timeout, verify=_TLS, **options)

    def state(self) -> str:
        """The state's name; empty when nobody answers."""
        with contextlib.suppress(httpx.HTTPError):
            name: str = self.get("/v1/health/ready", timeout=5.0).json()["state"]
            return name
        return ""

    def wait_for_state(self, *names: str, within_s: float = START_S) -> float:
        def reached() -> bool:
            assert self.process.poll() is None, (
                f"the server ended with {self.process.returncode}:\n{self.log}"
            )
            return self.state() in names

        return wait_until(reached, within_s=within_s, what=f"state {' or '.join(names)}")

    def wait_until_ready(self) -> None:
        self.wait_for_state("READY")
        self.remember()

    def wait_for_exit(self, *, within_s: float) -> int:
        """The exit code; notes the children there are until then."""
        deadline_s = time.monotonic() + within_s * self.slow
        while time.monotonic() < deadline_s:
            self.remember()
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self.process.wait(timeout=0.1)
        raise AssertionError(f"still running after {within_s:g} s:\n{self.log[-4000:]}")

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def remember(self) -> None:
        """Note the children there are, so that they can be looked for later."""
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.process.pid).children(recursive=True):
                self._known[child.pid] = child

    def engine_core(self) -> psutil.Process:
        return self._titled("EngineCore")

    def worker(self) -> psutil.Process:
        return self._titled("Worker")

    def _titled(self, title: str) -> psutil.Process:
        self.remember()
        found = [
            process
            for process in self._known.values()
            if process.is_running() and title in " ".join(process.cmdline())
        ]
        assert len(found) == 1, f"{len(found)} processes titled {title}"
        return found[0]

    def leftovers(self) -> list[psutil.Process]:
        """Children noted earlier that still run."""
        alive = []
        for process in self._known.values():
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                    alive.append(process)
        return alive

    def assert_nothing_is_left(self) -> None:
        """No child runs on and the port is free, moments after the end."""
        wait_until(
            lambda: not self.leftovers(),
            within_s=5,
            what=f"children are gone ({[p.pid for p in self.leftovers()]} are left)",
        )
        port = self.port
        with contextlib.closing(_socket()) as probe:
            probe.bind(("127.0.0.1", port))


def _socket() -> socket.socket:
    probe = socket.socket()
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return probe
