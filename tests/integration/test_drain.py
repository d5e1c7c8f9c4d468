"""SIGTERM and SIGINT in every state, under load, once and twice."""

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.adapters import write_adapter
from tests.support.errors import assert_error, assert_error_body
from tests.support.hub import hub
from tests.support.reader import Reader
from tests.support.server import Server
from tests.support.sse import DONE
from tests.support.wait import wait_until

CHAT = "/v1/chat/completions"
STORY: dict[str, Any] = {
    "messages": [{"role": "user", "content": "Tell me a long story."}],
    "ignore_eos": True,
}


def start(demo: Path, tmp_path: Path, slow: float, **environment: str) -> Server:
    return Server(str(demo), log=tmp_path / "log", slow=slow, environment=environment)


@pytest.mark.parametrize(
    ("state", "number"),
    [
        ("PENDING", signal.SIGTERM),
        ("PENDING", signal.SIGINT),
        ("LOADING", signal.SIGTERM),
        ("LOADING", signal.SIGINT),
        pytest.param("WARMING", signal.SIGTERM, marks=pytest.mark.thorough),
    ],
)
def test_before_ready_it_ends_promptly(
    demo: Path, tmp_path: Path, slow: float, state: str, number: signal.Signals
) -> None:
    # WARMING takes some milliseconds: READY may come first, and must then have nothing to wait for.
    delay_s = "0" if state == "WARMING" else "20"
    with start(demo, tmp_path, slow, UNIGATE_DRAIN_DELAY_S=delay_s) as server:
        if state == "PENDING":
            # Python itself catches SIGINT from the start; we catch SIGTERM, after SIGINT.
            wait_until(
                lambda: catches(server, signal.SIGTERM), within_s=5, what="signals are caught"
            )
        else:
            wait_until(lambda: f"new={state}" in server.log, within_s=120, what=state)
        if state == "LOADING":
            wait_until(lambda: bool(server_children(server)), within_s=60, what="children exist")
        server.remember()
        server.signal(number)
        assert server.wait_for_exit(within_s=8) == 0
        if state != "PENDING":
            server.assert_nothing_is_left()


def test_while_a_source_is_silent_it_ends_promptly(demo: Path, tmp_path: Path, slow: float) -> None:
    with hub(demo) as origin:
        origin.held.clear()  # the hub does not answer
        environment = {"HF_ENDPOINT": origin.url, "NIM_CACHE_PATH": str(tmp_path / "cache")}
        log = tmp_path / "log"
        with Server("hf://org/demo", log=log, slow=slow, environment=environment) as server:
            wait_until(lambda: origin.requests, within_s=10, what="the hub is asked")
            assert server.state() == "SELECTING"
            server.signal(signal.SIGTERM)
            assert server.wait_for_exit(within_s=5) == 0
            server.assert_nothing_is_left()


def catches(server: Server, number: signal.Signals) -> bool:
    """Whether the process has a handler for the signal, as the kernel sees it."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    (mask,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(mask, 16) >> (number - 1) & 1)


def server_children(server: Server) -> list[int]:
    server.remember()
    return [process.pid for process in server.leftovers()]


def test_a_drain_finishes_what_runs_and_refuses_what_comes(
    demo: Path, tmp_path: Path, slow: float
) -> None:
    adapters = write_adapter(tmp_path / "adapters" / "mine").parent
    environment = {"NIM_PEFT_SOURCE": str(adapters), "NIM_PEFT_REFRESH_INTERVAL": "0.5"}
    with start(demo, tmp_path, slow, UNIGATE_DRAIN_DELAY_S="2", **environment) as server:
        server.wait_until_ready()
        reader = Reader(server, tmp_path / "stream", model="mine", max_tokens=600)
        reader.wait_until_begun()
        server.signal(signal.SIGTERM)
        wait_until(lambda: "new=DRAINING" in server.log, within_s=5, what="the drain has begun")
        shutil.rmtree(adapters / "mine")  # nobody looks any more
        assert server.get("/v1/health/ready").status_code == 503
        assert server.get("/v1/health/live").status_code == 200
        refused = server.post(CHAT, {**STORY, "max_tokens": 1})
        assert_error(refused, 503, "engine_draining")
        assert refused.headers["connection"] == "close"
        assert server.wait_for_exit(within_s=30) == 0
        *_, last, done = reader.events()
        assert done == DONE
        assert (last["model"], last["choices"][0]["finish_reason"]) == ("mine", "length")
        assert "adapter.unloaded" not in server.log
        server.assert_nothing_is_left()


def test_what_does_not_finish_in_time_is_ended_with_an_error(
    demo: Path, tmp_path: Path, slow: float
) -> None:
    with start(demo, tmp_path, slow, UNIGATE_DRAIN_TIMEOUT_S="0.5") as server:
        server.wait_until_ready()
        reader = Reader(server, tmp_path / "stream", max_tokens=15_000)
        reader.wait_until_begun()
        unattended = {"input": "Tell me a long story.", "ignore_eos": True, "background": True}
        assert server.post("/v1/responses", unattended).json()["status"] == "queued"
        server.signal(signal.SIGTERM)
        assert server.wait_for_exit(within_s=20) == 0
        assert "engine.drain_timeout requests=2" in server.log
        events = reader.events()
        assert_error_body(events[-1], "engine_draining")
        assert DONE not in events
        server.assert_nothing_is_left()


@pytest.mark.thorough
def test_a_second_signal_ends_it_now(demo: Path, tmp_path: Path, slow: float) -> None:
    delays = {"UNIGATE_DRAIN_DELAY_S": "60", "UNIGATE_DRAIN_TIMEOUT_S": "60"}
    with start(demo, tmp_path, slow, **delays) as server:
        server.wait_until_ready()
        reader = Reader(server, tmp_path / "stream", max_tokens=15_000)
        reader.wait_until_begun()
        server.signal(signal.SIGTERM)
        wait_until(lambda: "new=DRAINING" in server.log, within_s=10, what="the drain has begun")
        server.signal(signal.SIGTERM)
        assert server.wait_for_exit(within_s=10) == 0
        assert_error_body(reader.events()[-1], "engine_draining")
        server.assert_nothing_is_left()


@pytest.mark.thorough
def test_an_engine_that_dies_under_its_last_requests_is_a_failure(
    demo: Path, tmp_path: Path, slow: float
) -> None:
    adapters = write_adapter(tmp_path / "adapters" / "mine").parent
    environment = {"NIM_PEFT_SOURCE": str(adapters), "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1"}
    with start(demo, tmp_path, slow, **environment) as server:
        server.wait_until_ready()
        reader = Reader(server, tmp_path / "stream", max_tokens=15_000)
        reader.wait_until_begun()
        server.engine_core().suspend()
        adapter: dict[str, Any] = {"lora_name": "x", "lora_path": "mine"}
        loading = Reader(server, tmp_path / "loading", "/v1/load_lora_adapter", **adapter)
        wait_until(
            lambda: server.get("/v1/health/ready").json()["requests"] == 2,
            within_s=10,
            what="an adapter is being loaded",
        )
        server.signal(signal.SIGTERM)
        wait_until(lambda: "new=DRAINING" in server.log, within_s=10, what="the drain has begun")
        server.engine_core().kill()
        assert server.wait_for_exit(within_s=10) == 6
        assert_error_body(reader.events()[-1], "engine_dead")
        assert_error(loading.response(), 503, "engine_dead")
        server.assert_nothing_is_left()


@pytest.mark.thorough
def test_ctrl_c_reaches_the_whole_group_and_still_drains(
    demo: Path, tmp_path: Path, slow: float
) -> None:
    with start(demo, tmp_path, slow) as server:
        server.wait_until_ready()
        reader = Reader(server, tmp_path / "stream", max_tokens=600)
        reader.wait_until_begun()
        os.killpg(server.process.pid, signal.SIGINT)
        assert server.wait_for_exit(within_s=30) == 0
        assert reader.events()[-1] == DONE
        server.assert_nothing_is_left()
