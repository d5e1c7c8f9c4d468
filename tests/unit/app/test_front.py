"""What is answered before the application is imported."""

import asyncio
import json
from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message

from app.front import Front, Probes
from app.health import Health
from engine import StateMachine
from engine.admission import Admission
from engine.inflight import Inflight
from profiles.progress import Progress

APP = PlainTextResponse("the application")


def front(*, has_ping: bool = False) -> Front:
    health = Health(StateMachine(lambda *_: None), Inflight(), Admission(), Progress())
    return Front(Probes(health, has_ping=has_ping))


async def get(asgi: Any, path: str) -> tuple[int, bytes]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    await asgi({"type": "http", "method": "GET", "path": path, "headers": []}, receive, send)
    start, body = sent
    assert dict(start["headers"])[b"content-length"] == str(len(body["body"])).encode()
    return start["status"], body["body"]


@pytest.mark.parametrize(
    ("name", "status", "word"),
    [("live", 200, "live"), ("ready", 503, "not_ready"), ("startup", 503, "not_started")],
)
def test_probes_are_answered_before_there_is_an_application(
    name: str, status: int, word: str
) -> None:
    found, body = asyncio.run(get(front(), f"/v1/health/{name}"))
    assert found == status
    assert json.loads(body)["status"] == word
    assert json.loads(body)["state"] == "PENDING"


def test_sagemakers_probe_is_the_readiness_probe() -> None:
    assert asyncio.run(get(front(has_ping=True), "/ping"))[0] == 503


def test_sagemakers_probe_is_no_probe_elsewhere() -> None:
    async def scene() -> tuple[int, bytes]:
        asgi = front()
        asked = asyncio.ensure_future(get(asgi, "/ping"))
        await asyncio.sleep(0.05)
        assert not asked.done()
        asgi.open(APP)
        return await asked

    assert asyncio.run(scene()) == (200, b"the application")


def test_other_requests_wait_for_the_application() -> None:
    async def scene() -> tuple[bool, tuple[int, bytes]]:
        asgi = front()
        asked = asyncio.ensure_future(get(asgi, "/v1/models"))
        await asyncio.sleep(0.05)
        waited = not asked.done()
        asgi.open(APP)
        return waited, await asked

    assert asyncio.run(scene()) == (True, (200, b"the application"))


def test_the_application_answers_everything_once_it_is_there() -> None:
    async def scene() -> tuple[int, bytes]:
        asgi = front()
        asgi.open(APP)
        return await get(asgi, "/v1/health/live")

    assert asyncio.run(scene()) == (200, b"the application")
