"""The server's memory and its engine's is in huge pages, where the kernel has them."""

import re
from pathlib import Path

from tests.support import huge_pages
from tests.support.server import Server
from tests.support.wait import wait_until


def share(pid: int) -> float:
    """How much of what is in no file is in huge pages."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    figures = dict(re.findall(r"^(\w+): +(\d+) kB$", text, re.MULTILINE))
    return int(figures["AnonHugePages"]) / int(figures["Anonymous"])


def test_all_processes_of_a_server_move_in(server: Server) -> None:
    huge_pages.require()
    processes = server.process.pid, server.engine_core().pid, server.worker().pid
    wait_until(lambda: min(map(share, processes)) > 0.6, within_s=60, what="all have moved in")
