"""What the meter's client makes of the answers it has seen."""

import pytest

from load.cases import CASES
from load.traffic import Seen, numbered, summarise

CHAT, WHOLE = CASES["chat-8"], CASES["one-token"]
TOKEN = b'data: {"choices": [{"index": 0, "delta": {"content": "x"}}]}\n\n'
END = b'data: {"choices": [], "usage": {"completion_tokens": 3}}\n\ndata: [DONE]\n\n'


def test_a_stream_is_counted_by_the_servers_usage_and_timed_by_its_tokens() -> None:
    pieces = [(1.25, TOKEN), (1.5, TOKEN[:20]), (1.75, TOKEN[20:]), (2.0, END)]
    figures = summarise([Seen(1.0, 200, pieces)], CHAT, took_s=2.0)
    assert figures["tokens"] == 3
    assert figures["tokens_per_s"] == 1.5
    assert figures["ttft_p50_ms"] == 250
    assert figures["itl_p99_ms"] == 500
    assert figures["latency_p50_ms"] == 1000


def test_a_whole_answer_has_a_latency_only() -> None:
    figures = summarise([Seen(1.0, 200, [(1.5, b"{"), (2.0, b"}")])] * 4, WHOLE, took_s=2.0)
    assert figures["latency_p50_ms"] == 1000
    assert figures["requests_per_s"] == 2
    assert "ttft_p50_ms" not in figures


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (Seen(1.0, 503, [(1.5, b'{"error": "overloaded"}')]), "status 503.*overloaded"),
        (Seen(1.0, 200, [(1.5, TOKEN)]), "cut before its end"),
        (Seen(1.0, 200, [(1.5, b'data: {"error": {"message": "dead"}}\n\n')]), "dead"),
    ],
    ids=["refused", "cut", "failed"],
)
def test_a_case_with_an_answer_that_is_none_has_no_figures(seen: Seen, why: str) -> None:
    good = Seen(1.0, 200, [(1.5, TOKEN + END)])
    with pytest.raises(ValueError, match=why):
        summarise([good, seen], CHAT, took_s=2.0)


def test_no_two_requests_have_the_same_text() -> None:
    for case in CASES.values():
        if case.body:
            first, second = (numbered(case.body, number) for number in ("1", "2"))
            assert first != second
            assert first.keys() == case.body.keys()
            assert case.body not in (first, second)
