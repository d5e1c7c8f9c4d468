"""The load test against a real server: every kind of text, and limits that hold or do not."""

from pathlib import Path

from tests.support.locust_run import run_locust
from tests.support.server import Server

SCENARIO = """
about = "One user of each kind for some seconds."
users = {{ chat = 1, completions = 1, messages = 1 }}
stages = [{{ users = 3, for_s = 5, users_per_s = 100 }}]
max_tokens = 4

[limits]
{limits}
"""
TEXT = ["/v1/chat/completions", "/v1/completions", "/v1/messages"]


def scenario(place: Path, limits: str) -> str:
    file = place / "scenario.toml"
    file.write_text(SCENARIO.format(limits=limits))
    return str(file)


def test_limits_that_hold_are_a_success_and_streams_are_measured(
    server: Server, tmp_path: Path
) -> None:
    limits = "max_failure_ratio = 0\nmin_tokens_per_s = 0.01\nmax_ttft_p95_ms = 60000"
    done = run_locust(server.url, scenario(tmp_path, limits), slow=server.slow)
    assert done.code == 0, done.log
    assert "all limits held: max_failure_ratio, min_tokens_per_s, max_ttft_p95_ms" in done.log
    for path in TEXT:
        answers = done.entries["POST", path]["num_requests"]
        assert answers > 0
        assert done.entries["POST", path]["num_failures"] == 0
        # The model may end before it has said anything.
        assert 0.9 * answers <= done.entries["TTFT", path]["num_requests"] <= answers
        # Its length is the server's count of tokens.
        tokens = done.entries["TPS", path]["total_content_length"]
        assert answers <= tokens <= 4 * answers
        assert 0 < done.entries["ITL", path]["num_requests"] <= tokens - answers


def test_a_limit_that_cannot_hold_is_a_failure_and_is_said(server: Server, tmp_path: Path) -> None:
    limits = "max_failure_ratio = 0\nmax_latency_p50_ms = 0\nmin_tokens_per_s = 1e9"
    done = run_locust(server.url, scenario(tmp_path, limits), slow=server.slow)
    assert done.code == 1
    assert "failed: latency_p50_ms is " in done.log
    assert "failed: tokens_per_s is " in done.log
    assert "failure_ratio is" not in done.log


def test_a_server_that_lacks_what_is_asked_for_fails_the_run(
    server: Server, tmp_path: Path
) -> None:
    file = tmp_path / "scenario.toml"
    file.write_text(
        'about = "x"\nusers = { embeddings = 1 }\n'
        "stages = [{ users = 1, for_s = 3 }]\nlimits = { max_failure_ratio = 0.5 }\n"
    )
    done = run_locust(server.url, str(file), slow=server.slow)
    assert done.code == 1
    assert "failed: failure_ratio is 1; max_failure_ratio is 0.5" in done.log
