"""The line of a request has the fields that the README names, and no others."""

import asyncio
import logging
import re
from pathlib import Path
from typing import Any

import pytest

from app.middleware.access_log import AccessLog
from app.middleware.request_id import RequestId
from engine.account import Spent, account

README = (Path(__file__).parents[3] / "README.md").read_text()
ALL_IT_CAN_COST = Spent(prompt_tokens=3, output_tokens=2, queued_s=0.1, first_token_s=0.2)


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Fails, after having done everything."""
    del receive
    mine = account.get()
    mine.model = "model"
    mine.add(lambda: ALL_IT_CAN_COST)
    scope["state"] |= {"code": "generation_failed", "key": "team-a"}
    await send({"type": "http.response.start", "status": 500})
    await send({"type": "http.response.body", "body": b""})


async def receive() -> Any:
    raise AssertionError("nothing is read")


async def send(message: Any) -> None:
    del message


def fields_of(record: logging.LogRecord) -> set[str]:
    return vars(record).keys() - vars(logging.makeLogRecord({})).keys() - {"message", "asctime"}


def test_its_fields_are_those_of_the_readme(caplog: pytest.LogCaptureFixture) -> None:
    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": "/v1/chat/completions",
        "headers": [(b"traceparent", b"00-" + b"4" * 32 + b"-" + b"0" * 15 + b"1-01")],
        "state": {"request_id": "an-id"},
        "extensions": {"tls": {"client_cert_name": "CN=team-a"}},
    }
    logger = logging.getLogger("app.access")
    logger.propagate = True
    with caplog.at_level(logging.INFO, "app.access"):
        asyncio.run(RequestId(AccessLog(app))(scope, receive, send))
    section = README.partition("\n## Logs\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) \| ", section, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    (record,) = caplog.records
    assert fields_of(record) - {"vllm_process_name"} == named
