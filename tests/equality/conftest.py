"""`vllm serve`, with what the shared server has."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.vllm_server import VllmServer

_ARGUMENTS = (
    "--dtype", "float32", "--enforce-eager", "--served-model-name", "unigate-demo",
    "--enable-auto-tool-choice", "--tool-call-parser", "hermes",
    "--reasoning-parser", "deepseek_v3",
)  # fmt: skip


@pytest.fixture(scope="session")
def vllm(demo: Path, slow: float, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmServer]:
    log = tmp_path_factory.mktemp("vllm") / "log"
    arguments = (*_ARGUMENTS, "--max-num-seqs", "4")
    with VllmServer(demo, *arguments, log=log) as running:
        running.wait_until_ready()
        yield running
