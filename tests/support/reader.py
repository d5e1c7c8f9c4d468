"""A client in the middle of an answer: a process of its own, that takes no time from the test."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from tests.support.server import Server
from tests.support.sse import DONE
from tests.support.wait import wait_until

# Copies the answer to stdout as it comes, behind a line with its status and headers; a connection
# that is cut is an exception, hence exit 1.
_SCRIPT = """
import http.client, json, sys
port, path, media_type = sys.argv[1:]
connection = http.client.HTTPConnection("127.0.0.1", int(port))
connection.request("POST", path, sys.stdin.buffer.read(), {"content-type": media_type})
answer = connection.getresponse()
head = json.dumps([answer.status, dict(answer.getheaders())])
sys.stdout.buffer.write(head.encode() + b"\\n")
while data := answer.read1(65536):
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
"""

STORY = "Tell me a long story."
_MESSAGES = [{"role": "user", "content": STORY}]
# Route → a request that would be answered for long.
_LONG: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": _MESSAGES, "ignore_eos": True},
    "/v1/completions": {"prompt": STORY, "ignore_eos": True},
    "/v1/responses": {"input": STORY, "ignore_eos": True},
    # This one has no such field: it lasts for some dozen tokens.
    "/v1/messages": {
        "model": "unigate-demo", "messages": _MESSAGES, "max_tokens": 15_000, "temperature": 2,
    },
}  # fmt: skip


class Reader:
    """Reads one answer into a file, from the moment it is made; streamed unless told."""

    def __init__(
        self,
        server: Server,
        path: Path,
        route: str = "/v1/chat/completions",
        *,
        file: Any = None,
        **fields: Any,
    ) -> None:
        """With the bytes of a `file` the fields are those of a form."""
        fields = {**_LONG.get(route, {}), "stream": True, **fields}
        asked: Any = {"data": fields, "files": {"file": file}} if file else {"json": fields}
        self._path = path
        self._slow = server.slow
        self._request = httpx.Request("POST", server.url + route, **asked)
        words = [str(server.port), route, self._request.headers["content-type"]]
        with path.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603  # ours
                [sys.executable, "-c", _SCRIPT, *words],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.DEVNULL,
            )
        assert self._process.stdin is not None  # as asked
        with self._process.stdin as body:
            body.write(self._request.read())

    def wait_until_begun(self) -> None:
        wait_until(
            lambda: b"data: " in self._path.read_bytes(),
            within_s=30,
            what="the stream has begun",
        )

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def response(self) -> httpx.Response:
        """The answer, once it has ended properly."""
        assert self._process.wait(timeout=30 * self._slow) == 0, "the connection was cut"
        head, _, content = self._path.read_bytes().partition(b"\n")
        status, headers = json.loads(head)
        headers.pop("transfer-encoding", None)
        return httpx.Response(status, headers=headers, content=content, request=self._request)

    def events(self) -> list[Any]:
        """All events, once the stream has ended properly."""
        lines = self.response().text.splitlines()
        data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
        return [DONE if item == DONE else json.loads(item) for item in data]
