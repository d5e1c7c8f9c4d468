"""An answer that takes longer than the server gives it, on the real engine."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.errors import assert_error, assert_error_body
from tests.support.reader import Reader
from tests.support.server import Server
from tests.support.wait import wait_until

LIMIT_S = 3.0
CODE = "deadline_exceeded"
ROUTES = ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"]
_AT_WORK = re.compile(r"^vllm:num_requests_(?:running|waiting)\{.*\} ([0-9.]+)$", re.MULTILINE)


@pytest.fixture(scope="module")
def hasty(demo: Path, tmp_path_factory: pytest.TempPathFactory, slow: float) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("hasty") / "log"
    environment = {"UNIGATE_REQUEST_TIMEOUT_S": str(LIMIT_S)}
    with Server(str(demo), log=log, slow=slow, environment=environment) as server:
        server.wait_until_ready()
        yield server


def assert_is_idle(server: Server) -> None:
    wait_until(
        lambda: {float(n) for n in _AT_WORK.findall(server.get("/v1/metrics").text)} == {0.0},
        within_s=5 * server.slow,
        what="the engine has let go",
    )


def test_a_late_answer_is_ended_on_every_route_and_the_engine_let_go(
    hasty: Server, tmp_path: Path
) -> None:
    text = {"/v1/completions": {"prompt": "Once", "max_tokens": 15_000, "ignore_eos": True}}
    core = hasty.engine_core()
    core.suspend()
    try:
        whole, streamed = (
            {
                route: Reader(
                    hasty,
                    tmp_path / f"{number}-{stream}",
                    route,
                    **{"max_tokens": 15_000} if "chat" in route else {},
                    **text.get(route, {}),
                    stream=stream,
                )
                for number, route in enumerate(ROUTES)
            }
            for stream in (False, True)
        )
        for reader in whole.values():
            error = assert_error(reader.response(), 504, CODE)
            assert f"{LIMIT_S:g} s" in error["message"]
        for route, reader in streamed.items():
            last = reader.events()[-1]
            if route == "/v1/responses":
                assert last["type"] == "error"
                assert last["code"] == CODE
            else:
                assert_error_body(last, CODE)
    finally:
        core.resume()
    assert_is_idle(hasty)


def test_a_stream_ends_in_the_middle_with_an_error_behind_its_text(
    hasty: Server, tmp_path: Path
) -> None:
    reader = Reader(hasty, tmp_path / "stream", max_tokens=15_000)
    *chunks, last = reader.events()
    assert len(chunks) > 2
    assert all("error" not in chunk for chunk in chunks)
    assert_error_body(last, CODE)
    assert_is_idle(hasty)


def test_an_answer_in_time_is_whole(hasty: Server) -> None:
    body = {"messages": [{"role": "user", "content": "Hello."}], "max_tokens": 2}
    assert hasty.post("/v1/chat/completions", body).status_code == 200
