"""Metrics of a server that has worked, by all of their names."""

import json
import re

import pytest

from app.observability.nim_names import NAMES
from tests.support.server import Server
from tests.support.wait import wait_until

ASK = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3}


def value(server: Server, name: str) -> float:
    """0 of what is not there yet."""
    found = re.search(
        rf"^{re.escape(name)} ([0-9.e+-]+)$", server.get("/v1/metrics").text, re.MULTILINE
    )
    return float(found[1]) if found else 0.0


def test_what_nim_1_had_is_there_with_the_same_values(server: Server) -> None:
    server.post("/v1/chat/completions", ASK)
    text = server.get("/v1/metrics").text
    for name, nims in NAMES.items():
        for suffix in ("", "_total", "_sum", "_count"):
            pattern = rf"^{{}}{suffix}({{{{.*}}}} .*)$"
            theirs = re.findall(pattern.format(re.escape(name)), text, re.MULTILINE)
            ours = re.findall(pattern.format(nims), text, re.MULTILINE)
            assert ours == theirs
        assert f"# TYPE {nims}" in text


@pytest.mark.parametrize(
    ("method", "path", "handler", "status"),
    [
        ("POST", "/v1/chat/completions", "/v1/chat/completions", "200"),
        ("GET", "/v1/models/unigate-demo", "/v1/models/{name:path}", "200"),
        ("GET", "/v1/models/no-such-model", "/v1/models/{name:path}", "404"),
        ("GET", "/no/such/route", "none", "404"),
    ],
)
def test_requests_are_counted_by_their_routes(
    server: Server, method: str, path: str, handler: str, status: str
) -> None:
    counted = method if handler != "none" else "none"
    labels = f'handler="{handler}",method="{counted}",status="{status}"'
    before = value(server, f"http_requests_total{{{labels}}}")
    send = server.get if method == "GET" else lambda path: server.post(path, ASK)
    assert str(send(path).status_code) == status
    name = f"http_requests_total{{{labels}}}"
    wait_until(lambda: value(server, name) == before + 1, within_s=5, what="it is counted")


def test_probes_and_scrapes_are_not(server: Server) -> None:
    server.get("/v1/health/ready")
    text = server.get("/v1/metrics").text
    assert 'handler="/v1/health' not in text
    assert 'handler="/v1/metrics' not in text


def test_an_outcome_is_counted_for_each(server: Server) -> None:
    names = [f'unigate_requests_total{{outcome="{it}"}}' for it in ("answered", "failed")]
    before = [value(server, name) for name in names]
    server.post("/v1/chat/completions", ASK)
    server.post("/v1/chat/completions", {"messages": "none"})
    # Scrapes are requests, too.
    assert value(server, names[0]) > before[0]
    assert value(server, names[1]) == before[1] + 1


def test_the_profile_is_told(server: Server) -> None:
    text = server.get("/v1/metrics").text
    assert re.search(
        r'^unigate_profile_info\{model="unigate-demo",name="vllm-cpu-.*",profile=".*"\} 1\.0$',
        text,
        re.MULTILINE,
    )


@pytest.mark.parametrize("stream", [False, True])
def test_whoever_asks_is_told_how_busy_the_server_is(server: Server, stream: bool) -> None:
    def asked(form: str) -> str:
        headers = {"endpoint-load-metrics-format": form}
        answer = server.post("/v1/chat/completions", ASK | {"stream": stream}, headers=headers)
        return str(answer.headers["endpoint-load-metrics"])

    kind, _, figures = asked("json").partition(" ")
    assert kind == "JSON"
    assert json.loads(figures)["named_metrics"].keys() == {
        "kv_cache_usage_perc",
        "num_requests_waiting",
    }
    usage, _, waiting = asked("TEXT").partition(", ")
    assert re.fullmatch(r"TEXT named_metrics\.kv_cache_usage_perc=[0-9.e-]+", usage)
    assert waiting == "named_metrics.num_requests_waiting=0.0"
    headers = {"endpoint-load-metrics-format": "XML"}
    other = server.post("/v1/chat/completions", ASK, headers=headers)
    assert "endpoint-load-metrics" not in other.headers
