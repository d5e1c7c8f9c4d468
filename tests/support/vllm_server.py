"""`vllm serve` itself, to compare with."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType

import httpx

from tests.support.server import START_S, start
from tests.support.wait import wait_until


class VllmServer:
    """vLLM's own server in a session of its own; started at once, ended with all its children."""

    def __init__(self, model: Path, *arguments: str, log: Path) -> None:
        with contextlib.closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            port = str(probe.getsockname()[1])
        self.url = f"http://127.0.0.1:{port}"
        # CPU wheels have no distribution called vllm, so its command does not start.
        module = (sys.executable, "-m", "vllm.entrypoints.openai.api_server")
        words = ("--model", str(model), *arguments, "--host", "127.0.0.1", "--port", port)
        self._process = start(*module, *words, log=log)

    def __enter__(self) -> "VllmServer":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def wait_until_ready(self) -> None:
        wait_until(self._answers, within_s=START_S, what="vllm serve is ready")

    def _answers(self) -> bool:
        assert self._process.poll() is None, f"vllm serve ended with {self._process.returncode}"
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(self.url + "/health", timeout=5).status_code == httpx.codes.OK
        return False
