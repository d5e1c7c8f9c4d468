"""Users: each asks, reads its answer to the end, and asks again.

They are Locust's `FastHttpUser`, by its account cheaper than `HttpUser`: the more CPU the client
takes, the later it sees its tokens. Locust's own `iter_lines` waits for 1024 bytes and would tell
no token from the next; `readline` of the same response has a line when it is there, and raises when
the stream is cut.
"""

import os
import random
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, ClassVar

from locust import FastHttpUser, task
from locust.contrib.fasthttp import FAILURE_EXCEPTIONS, ResponseContextManager

from load.answer import StreamedAnswer
from load.figures import ITL, TPS, TTFT
from load.scenario import load

API_KEY = "LOAD_API_KEY"
"""The variable whose value is sent as `Authorization: Bearer …`, where it is set."""
LONGEST_SILENCE_S = 300.0
"""Of a server that is asked, or in the middle of its stream."""
_WORDS = (
    "server model token stream health probe drain engine request answer cache memory profile "
    "adapter queue batch prompt limit error signal"
)


class ApiUser(FastHttpUser):
    """What all users have in common."""

    abstract = True
    network_timeout = LONGEST_SILENCE_S
    path: ClassVar[str]

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        options = self.environment.parsed_options
        assert options
        self.scenario = load(options.scenario)
        self._model: str = options.model
        # Streams are read as they come, so nothing may be compressed on the way.
        self._headers = {"Accept-Encoding": "identity"}
        if key := os.environ.get(API_KEY):
            self._headers["Authorization"] = f"Bearer {key}"
        self._random = random.Random()  # noqa: S311  # prompts, not secrets

    def on_start(self) -> None:
        """Learn the model's name, where none was given."""
        if not self._model:
            response = self.client.get("/v1/models", headers=self._headers)
            if response.status_code == HTTPStatus.OK:
                self._model = response.json()["data"][0]["id"]

    def wait_time(self) -> float:
        """Pause before the next request."""
        return self.scenario.pause_s

    def send(
        self,
        body: dict[str, Any],
        read: Callable[[ResponseContextManager], str],
        *,
        stream: bool = False,
    ) -> None:
        """Ask, and have the answer read by `read`, which says what is wrong with it.

        What is no 200, or is cut while it is read, is a failure too.
        """
        with self.client.post(
            self.path,
            json={"model": self._model, **body},
            headers=self._headers,
            stream=stream,
            catch_response=True,
        ) as response:
            try:
                response.raise_for_status()
                if wrong := read(response):
                    response.failure(wrong)
            except FAILURE_EXCEPTIONS as error:
                response.failure(error)

    def prompt(self) -> str:
        """Words in an order of their own, so that no cache has them."""
        return " ".join(self._random.choices(_WORDS.split(), k=self.scenario.prompt_words))


class StreamUser(ApiUser):
    """One that reads streams."""

    abstract = True

    def body(self) -> dict[str, Any]:
        """What is asked for, in this dialect."""
        raise NotImplementedError

    @task
    def ask(self) -> None:
        """Read an answer as it comes, and note when its tokens did."""
        asked_s = time.perf_counter()
        body = self.body() | {"max_tokens": self.scenario.max_tokens, "stream": True}
        self.send(body, lambda response: self._read(response, asked_s), stream=True)

    def _read(self, response: ResponseContextManager, asked_s: float) -> str:
        answer = StreamedAnswer(asked_s)
        length = 0
        while line := response.stream.readline(b"\n"):
            answer.take(line, time.perf_counter())
            length += len(line)
        took_s = time.perf_counter() - asked_s
        response.request_meta |= {"response_time": 1000 * took_s, "response_length": length}
        if not answer.failure:
            self._note(answer, took_s)
        return answer.failure

    def _note(self, answer: StreamedAnswer, took_s: float) -> None:
        if answer.first_s is not None:
            self._entry(TTFT, 1000 * answer.first_s)
        for gap_s in answer.gaps_s:
            self._entry(ITL, 1000 * gap_s)
        self._entry(TPS, answer.tokens / took_s, answer.tokens)

    def _entry(self, kind: str, value: float, length: int = 0) -> None:
        self.environment.events.request.fire(
            request_type=kind,
            name=self.path,
            response_time=value,
            response_length=length,
            exception=None,
            context={},
        )


class ChatUser(StreamUser):
    """Asks in OpenAI's chat."""

    path = "/v1/chat/completions"

    def body(self) -> dict[str, Any]:
        """One message."""
        messages = [{"role": "user", "content": self.prompt()}]
        return {"messages": messages, "stream_options": {"include_usage": True}}


class CompletionsUser(StreamUser):
    """Asks for the rest of a text."""

    path = "/v1/completions"

    def body(self) -> dict[str, Any]:
        """A text."""
        return {"prompt": self.prompt(), "stream_options": {"include_usage": True}}


class MessagesUser(StreamUser):
    """Asks in Anthropic's dialect."""

    path = "/v1/messages"

    def body(self) -> dict[str, Any]:
        """One message."""
        return {"messages": [{"role": "user", "content": self.prompt()}]}


class EmbeddingsUser(ApiUser):
    """Asks for the vectors of two texts."""

    path = "/v1/embeddings"

    @task
    def ask(self) -> None:
        """Have a vector for each."""
        texts = [self.prompt(), self.prompt()]

        def read(response: ResponseContextManager) -> str:
            has_all = len(response.json()["data"]) == len(texts)
            return "" if has_all else "a text has no vector"

        self.send({"input": texts}, read)
