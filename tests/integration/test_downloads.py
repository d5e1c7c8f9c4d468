"""Downloads as users meet them: the verbs, the start, the probes."""

import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.hub import TOKEN, hub
from tests.support.program import BIN, run
from tests.support.server import Server, clean_environment
from tests.support.wait import wait_until

CONFIGS = Path(__file__).parents[1] / "data" / "configs"


def test_a_cache_is_filled_once_and_then_needs_no_network(demo: Path, tmp_path: Path) -> None:
    cache = {"NIM_CACHE_PATH": str(tmp_path / "cache"), "HOME": str(tmp_path)}
    with hub(demo) as origin:
        filled = run("download-to-cache", "hf://org/demo", HF_ENDPOINT=origin.url, **cache)
    assert filled.returncode == 0, filled.stderr
    offline = {**cache, "NIM_DISABLE_MODEL_DOWNLOAD": "1"}
    made = run(
        "create-model-store", "--model-repo", "hf://org/demo", "-m", str(tmp_path / "store"),
        **offline,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    for file in demo.iterdir():
        assert (tmp_path / "store" / file.name).read_bytes() == file.read_bytes()


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (signal.SIGINT, ["download-to-cache"]),
        (signal.SIGTERM, ["download-to-cache"]),
        (signal.SIGINT, ["unigate", "download-to-cache"]),
    ],
    ids=["ctrl-c", "sigterm", "a verb of unigate"],
)
def test_a_download_that_is_interrupted_does_not_claim_success(
    demo: Path, tmp_path: Path, number: signal.Signals, words: list[str]
) -> None:
    with hub(demo) as origin:
        origin.faults.slow_s = 0.1
        cache = {"NIM_CACHE_PATH": str(tmp_path / "cache"), "HOME": str(tmp_path)}
        with (
            subprocess.Popen(  # noqa: S603  # our own programs
                # Whoever runs the tests in the background ignores Ctrl-C, and so would the program.
                [
                    "/usr/bin/env",
                    "--default-signal=INT",
                    str(BIN / words[0]),
                    *words[1:],
                    "hf://org/demo",
                ],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=clean_environment(HF_ENDPOINT=origin.url, **cache),
            ) as process
        ):
            wait_until(lambda: origin.sent_bytes > 300_000, within_s=30, what="some bytes came")
            process.send_signal(number)
            said, complaint = process.communicate(timeout=10)
    assert process.returncode == 128 + number
    assert said == ""
    assert complaint == "stopped; what has arrived is kept for the next time\n"


@pytest.mark.parametrize("words", [["list-model-profiles"], ["unigate", "profiles", "list"]])
def test_ctrl_c_ends_a_listing_without_a_traceback(
    demo: Path, tmp_path: Path, words: list[str]
) -> None:
    with hub(demo) as origin:
        origin.held.clear()  # the hub does not answer
        cache = {"NIM_CACHE_PATH": str(tmp_path / "cache"), "HOME": str(tmp_path)}
        command = ["/usr/bin/env", "--default-signal=INT", str(BIN / words[0]), *words[1:]]
        with subprocess.Popen(  # noqa: S603  # as above
            [*command, "hf://org/demo"],
            stderr=subprocess.PIPE,
            text=True,
            env=clean_environment(HF_ENDPOINT=origin.url, **cache),
        ) as process:
            wait_until(lambda: origin.requests, within_s=30, what="the hub is asked")
            process.send_signal(signal.SIGINT)
            _, complaint = process.communicate(timeout=10)
    assert process.returncode == -signal.SIGINT
    assert complaint == ""


@pytest.mark.parametrize(
    ("code", "name", "value"),
    [
        (2, "HF_ENDPOINT", "http://127.0.0.1:abc"),
        (4, "SSL_CERT_FILE", "/nowhere.pem"),
        (4, "ALL_PROXY", "socks5://me:5ecre7@127.0.0.1:9"),
        (4, "HTTP_PROXY", "ftp://me:5ecre7@127.0.0.1:9"),
        (2, "NIM_REPOSITORY_OVERRIDE", "https://me:5ecre7@host:abc/"),
    ],
)
def test_a_bad_setting_of_the_network_is_named(
    demo: Path, tmp_path: Path, code: int, name: str, value: str
) -> None:
    home = {"NIM_CACHE_PATH": str(tmp_path / "cache"), "HOME": str(tmp_path)}
    with hub(demo) as origin:
        environment = {"HF_ENDPOINT": origin.url, **home, name: value}
        result = run("download-to-cache", "hf://org/demo", **environment)
    assert result.returncode == code, result.stderr
    assert name in result.stderr
    assert "Traceback" not in result.stderr
    assert "5ecre7" not in result.stderr


def test_a_home_of_somebody_else_is_no_reason_not_to_fetch(demo: Path, tmp_path: Path) -> None:
    with hub(demo) as origin:
        result = run(
            "download-to-cache", "hf://org/demo", HF_ENDPOINT=origin.url, HOME=str(tmp_path),
            HF_TOKEN_PATH=str(tmp_path),  # as unreadable to root as the file of another user
        )  # fmt: skip
    assert result.returncode == 0, result.stderr


def test_an_unknown_profile_is_not_downloaded(demo: Path, tmp_path: Path) -> None:
    with hub(demo) as origin:
        result = run(
            "download-to-cache", "hf://org/demo", "--profiles", "f" * 64,
            HF_ENDPOINT=origin.url, NIM_CACHE_PATH=str(tmp_path / "cache"), HOME=str(tmp_path),
        )  # fmt: skip
    assert result.returncode == 3
    assert "Not all of the provided profiles are supported" in result.stderr
    assert "vllm-cpu-fp32-tp1-pp1" in result.stderr


@pytest.mark.parametrize(
    ("model", "token", "sentence"),
    [
        ("hf://org/gated", TOKEN, "licence"),
        ("hf://org/private", "", "HF_TOKEN"),
        ("hf://org/private", "hf_wrong", "HF_TOKEN"),
    ],
    ids=["gated", "no token", "wrong token"],
)
def test_what_the_hub_refuses_ends_the_start(
    demo: Path, tmp_path: Path, model: str, token: str, sentence: str
) -> None:
    with hub(demo) as origin:
        environment = {
            "HF_ENDPOINT": origin.url, "HF_TOKEN": token,
            "NIM_CACHE_PATH": str(tmp_path / "cache"), "HOME": str(tmp_path),
        }  # fmt: skip
        with Server(model, log=tmp_path / "log", environment=environment) as server:
            assert server.wait_for_exit(within_s=20) == 4, server.log
    assert sentence in server.cause
    assert not token or token not in server.log


def test_probes_tell_how_far_a_download_is(demo: Path, tmp_path: Path) -> None:
    with hub(demo) as origin:
        origin.faults.slow_s = 0.2
        environment = {
            "HF_ENDPOINT": origin.url,
            "NIM_CACHE_PATH": str(tmp_path / "cache"), "HOME": str(tmp_path),
        }  # fmt: skip
        with Server("hf://org/demo", log=tmp_path / "log", environment=environment) as server:
            wait_until(lambda: advanced(server), within_s=30, what="some bytes came")
            progress = server.get("/v1/health/ready").json()["progress"]
            assert progress["bytes_total"] >= sum(file.stat().st_size for file in demo.iterdir())
            assert '"ready"' not in server.get("/v1/health/ready").text
            server.signal(signal.SIGTERM)
            assert server.wait_for_exit(within_s=5) == 0


def advanced(server: Server) -> bool:
    percent: int = server.get("/v1/health/ready").json().get("progress", {}).get("percent", 0)
    return 0 < percent < 100


def test_credentials_that_end_while_serving_are_seen(demo: Path, tmp_path: Path) -> None:
    with hub(demo) as origin:
        environment = {
            "HF_ENDPOINT": origin.url, "HF_TOKEN": TOKEN,
            "UNIGATE_CREDENTIAL_CHECK_INTERVAL_S": "0.2",
            "NIM_CACHE_PATH": str(tmp_path / "cache"), "HOME": str(tmp_path),
        }  # fmt: skip
        # Without anything left to fetch, the server needs its credentials for nothing.
        assert run("download-to-cache", "hf://org/private", **environment).returncode == 0
        with Server("hf://org/private", log=tmp_path / "log", environment=environment) as server:
            server.wait_for_state("LOADING", within_s=20)
            wait_until(lambda: valid(server) == "1.0", within_s=20, what="the token is accepted")
            origin.revoked = True
            wait_until(lambda: valid(server) == "0.0", within_s=20, what="the token is refused")
            assert "credentials.refused status=refused" in server.log
            assert TOKEN not in server.log
            server.signal(signal.SIGTERM)
            assert server.wait_for_exit(within_s=8) == 0


def valid(server: Server) -> str:
    """What the metric says."""
    lines = server.get("/v1/metrics").text.splitlines()
    return next(line for line in lines if line.startswith("unigate_credential_valid ")).split()[1]
