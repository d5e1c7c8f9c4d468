"""The engine is killed while it embeds, compares or hears: each client is told so.

`test_watchdog.py` has the same for models that generate. These end servers that other tests share,
instead of starting their own, so they come last.
"""

from pathlib import Path

import psutil
import pytest

from tests.support import tones
from tests.support.errors import assert_error, assert_failed_stream
from tests.support.load import engine_load, in_flight, prompt_tokens
from tests.support.passages import QUERY, TEXTS, many, ranking
from tests.support.reader import Reader
from tests.support.server import Server
from tests.support.wait import wait_until

pytestmark = pytest.mark.ends_shared_server


def freeze_amid(server: Server, before: float) -> psutil.Process:
    """Stop the engine core when it has computed some tokens, and has others before it."""
    core = server.engine_core()
    wait_until(
        lambda: prompt_tokens(server) > before and engine_load(server)["waiting"] > 0,
        within_s=20,
        what="the engine is at it",
    )
    core.suspend()
    return core


def kill_under(server: Server, core: psutil.Process, clients: int) -> None:
    """Kill the engine core while that many wait for their answers; the server ends properly."""
    wait_until(lambda: in_flight(server) == clients, within_s=10, what="all of them wait")
    core.kill()
    assert server.wait_for_exit(within_s=8) == 6
    assert "ENGINE_DIED" in server.cause
    assert "never retrieved" not in server.log
    server.assert_nothing_is_left()


def test_who_waits_for_vectors_is_told(embedding_server: Server, tmp_path: Path) -> None:
    before = prompt_tokens(embedding_server)
    texts = ["word " * 100] * 2048
    clients = [Reader(embedding_server, tmp_path / "0", "/v1/embeddings", input=texts)]
    core = freeze_amid(embedding_server, before)
    clients += [
        Reader(embedding_server, tmp_path / "1", "/v1/embeddings", input="a text"),
        Reader(embedding_server, tmp_path / "2", "/v1/rerank", query=QUERY, documents=TEXTS),
        Reader(embedding_server, tmp_path / "3", "/v1/score", text_1=QUERY, text_2=TEXTS),
    ]
    kill_under(embedding_server, core, len(clients))
    for client in clients:
        assert_error(client.response(), 503, "engine_dead")


def test_who_waits_for_scores_is_told(reranker: Server, tmp_path: Path) -> None:
    before = prompt_tokens(reranker)
    clients = [Reader(reranker, tmp_path / "0", "/v1/ranking", **many("/v1/ranking"))]
    core = freeze_amid(reranker, before)
    clients += [
        Reader(reranker, tmp_path / "1", "/v1/ranking", **ranking(QUERY, TEXTS)),
        Reader(reranker, tmp_path / "2", "/v1/rerank", query=QUERY, documents=TEXTS),
        Reader(reranker, tmp_path / "3", "/v1/score", text_1=QUERY, text_2=TEXTS),
    ]
    kill_under(reranker, core, len(clients))
    for client in clients:
        assert_error(client.response(), 503, "engine_dead")


def test_who_waits_for_a_transcript_is_told(speech_server: Server, tmp_path: Path) -> None:
    def ask(name: str, sentences: int, **fields: str) -> Reader:
        audio = tones.encode(tones.speech([[0, 1, 2]] * sentences), "mp3")
        path = tmp_path / f"{name}-{sentences}-{len(fields)}"
        return Reader(speech_server, path, f"/v1/audio/{name}", file=audio, **fields)

    before = prompt_tokens(speech_server)
    streamed = ask("transcriptions", 240)
    streamed.wait_until_begun()
    core = freeze_amid(speech_server, before)
    whole = [
        ask("transcriptions", 8, stream="false"),
        ask("transcriptions", 8, stream="false", response_format="srt"),
        ask("translations", 8, stream="false"),
    ]
    kill_under(speech_server, core, 1 + len(whole))
    for client in whole:
        assert_error(client.response(), 503, "engine_dead")
    assert_failed_stream(streamed.events(), "engine_dead")
