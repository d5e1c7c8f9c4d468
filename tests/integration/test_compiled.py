"""What the engine compiles is kept where the next start finds it, if it can be kept at all."""

import re
from pathlib import Path

import pytest

from tests.support.server import Server


def test_what_the_engine_makes_at_its_start_is_in_the_store(server: Server) -> None:
    found = re.search(r"runtime_cache\.kept path=(\S+)", server.log)
    assert found, server.log
    place = Path(found[1])
    assert place.parent.name == "runtime"
    assert list((place / "vllm").rglob("*.json"))


@pytest.mark.thorough
def test_a_server_that_can_keep_nothing_serves_all_the_same(
    demo: Path, tmp_path: Path, slow: float
) -> None:
    environment = {"NIM_RUNTIME_CACHE_PATH": "/proc/runtime"}
    with Server(str(demo), log=tmp_path / "log", slow=slow, environment=environment) as server:
        server.wait_until_ready()
        assert "runtime_cache.not_kept" in server.log
