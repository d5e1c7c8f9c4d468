"""What the engine compiles is kept where the next start finds it, if it can be kept at all."""

import re
from pathlib import Path

from tests.support.server import Server


def test_what_the_engine_makes_at_its_start_is_in_the_store(server: Server) -> None:
    found = re.search(r"runtime_cache\.kept path=(\S+)", server.log)
    assert found, server.log
    place = Path(found[1])
    assert place.parent.name == "runtime"
    assert list((place / "vllm").rglob("*.json"))


def test_a_server_that_can_keep_nothing_serves_all_the_same(hasty_server: Server) -> None:
    assert "runtime_cache.not_kept" in hasty_server.log
    assert hasty_server.state() == "READY"
