"""An answer that takes longer than the server gives it, on the real engine."""

import re
from pathlib import Path
from typing import Any

from tests.support.errors import assert_error, assert_error_body
from tests.support.reader import Reader
from tests.support.server import Server
from tests.support.wait import wait_until

CODE = "deadline_exceeded"
ROUTES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"max_tokens": 15_000},
    "/v1/completions": {"max_tokens": 15_000},
    "/v1/responses": {},
    "/v1/messages": {},
}
_AT_WORK = re.compile(r"^vllm:num_requests_(?:running|waiting)\{.*\} ([0-9.]+)$", re.MULTILINE)


def assert_is_idle(server: Server) -> None:
    wait_until(
        lambda: {float(n) for n in _AT_WORK.findall(server.get("/v1/metrics").text)} == {0.0},
        within_s=5,
        what="the engine has let go",
    )


def test_a_late_answer_is_ended_on_every_route_and_the_engine_let_go(
    hasty_server: Server, tmp_path: Path
) -> None:
    core = hasty_server.engine_core()
    core.suspend()
    try:
        whole, streamed = (
            {
                route: Reader(
                    hasty_server, tmp_path / f"{number}-{stream}", route, stream=stream, **fields
                )
                for number, (route, fields) in enumerate(ROUTES.items())
            }
            for stream in (False, True)
        )
        for reader in whole.values():
            error = assert_error(reader.response(), 504, CODE)
            assert "within 3 s" in error["message"]
        for route, reader in streamed.items():
            last = reader.events()[-1]
            if route == "/v1/responses":
                assert last["type"] == "error"
                assert last["code"] == CODE
            else:
                assert_error_body(last, CODE)
    finally:
        core.resume()
    assert_is_idle(hasty_server)


def test_a_stream_ends_in_the_middle_with_an_error_behind_its_text(
    hasty_server: Server, tmp_path: Path
) -> None:
    reader = Reader(hasty_server, tmp_path / "stream", max_tokens=15_000)
    *chunks, last = reader.events()
    assert len(chunks) > 2
    assert all("error" not in chunk for chunk in chunks)
    assert_error_body(last, CODE)
    assert_is_idle(hasty_server)


def test_an_answer_in_time_is_whole(hasty_server: Server) -> None:
    body = {"messages": [{"role": "user", "content": "Hello."}], "max_tokens": 2}
    assert hasty_server.post("/v1/chat/completions", body).status_code == 200
