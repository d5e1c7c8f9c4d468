"""How the server starts, and how it fails to."""

import json
import os
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import EngineState
from tests.support.hub import hub
from tests.support.server import UNIGATE, Server, clean_environment
from tests.support.wait import wait_until


def test_live_answers_within_a_second(demo: Path, tmp_path: Path, slow: float) -> None:
    def once(attempt: int) -> float:
        with Server(str(demo), log=tmp_path / f"log{attempt}", slow=slow) as server:
            assert server.get("/v1/health/live", timeout=30).status_code == 200
            return time.monotonic() - server.started_s

    # Whatever else the machine does only adds to it, so the shortest of some tells.
    assert any(once(attempt) <= 1.0 * slow for attempt in range(5))


def test_live_answers_all_the_while_the_model_loads(
    demo: Path, tmp_path: Path, slow: float
) -> None:
    def once(attempt: int) -> float:
        states: list[str] = []
        longest_s = 0.0
        with Server(str(demo), log=tmp_path / f"log{attempt}", slow=slow) as server:
            deadline_s = time.monotonic() + 120 * slow
            while "READY" not in states:
                asked_s = time.monotonic()
                assert asked_s < deadline_s
                response = server.get("/v1/health/live", timeout=30)
                assert response.status_code == 200
                state = response.json()["state"]
                if states:  # the first may wait for the port
                    longest_s = max(longest_s, time.monotonic() - asked_s)
                if state not in states:
                    states.append(state)
                time.sleep(0.01)
        assert states == sorted(states, key=[state.name for state in EngineState].index)
        return longest_s

    assert any(once(attempt) <= 0.5 * slow for attempt in range(3))


def test_nothing_is_answered_before_ready(demo: Path, tmp_path: Path, slow: float) -> None:
    with Server(str(demo), log=tmp_path / "log", slow=slow) as server:
        server.wait_for_state("LOADING", within_s=5)
        for response in (
            server.get("/v1/models"),
            server.post("/v1/chat/completions", {"messages": []}),
            server.post("/v1/completions", {"prompt": "x"}),
            server.get("/openapi.json"),
            server.get("/docs"),
        ):
            assert response.status_code == 503
            assert response.json()["error"]["code"] == "engine_not_ready"
            assert 0 < int(response.headers["retry-after"]) <= 120
        ready = server.get("/v1/health/ready")
        assert ready.status_code == 503
        assert '"ready"' not in ready.text
        assert ready.json()["status"] == "not_ready"
        assert server.get("/v1/health/startup").status_code == 503


def fails(
    tmp_path: Path,
    *words: str,
    code: int,
    within_s: float = 10,
    environment: dict[str, str] | None = None,
) -> str:
    """The log of a server that must end by itself with `code`."""
    with Server(*words, log=tmp_path / "log", environment=environment) as server:
        assert server.wait_for_exit(within_s=within_s) == code, server.log
        assert "Traceback" not in server.log or code == 5
        wait_until(lambda: not server.leftovers(), within_s=5, what="no process is left")
        return server.log


def test_a_port_that_is_taken(demo: Path, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        result = subprocess.run(  # noqa: S603  # our own program
            [UNIGATE, "serve", str(demo), "--host", "127.0.0.1", "--port", str(port)],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
            env=clean_environment(),
        )
    assert result.returncode == 8
    assert str(port) in result.stderr
    assert "NIM_SERVER_PORT" in result.stderr


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"NIM_SERVER_PORT": "eighty"}, "NIM_SERVER_PORT"),
        ({"NIM_SERVER_PORT": "70000"}, "NIM_SERVER_PORT"),
        ({"NIM_MAX_MODEL_LEN": "-5"}, "NIM_MAX_MODEL_LEN"),
        ({"UNIGATE_STALL_AFTER_S": "0"}, "UNIGATE_STALL_AFTER_S"),
        ({"NIM_LOG_LEVEL": "LOUD"}, "NIM_LOG_LEVEL"),
        ({"NIM_PASSTHROUGH_ARGS": "--dtype 'float32"}, "NIM_PASSTHROUGH_ARGS"),
        ({"NIM_MODEL_PATH": "ftp://somewhere/model"}, "ftp://"),
        ({"NIM_MODEL_PATH": "hf://only-one-part"}, "hf://organisation/model"),
        ({"NIM_MODEL_PATH": ""}, "NIM_MODEL_PATH"),
        ({"UNIGATE_STALL_AFTR_S": "1", "UNIGATE_STRICT_ENV": "1"}, "UNIGATE_STALL_AFTER_S"),
    ],
    ids=str,
)
def test_a_bad_setting(tmp_path: Path, environment: dict[str, str], sentence: str) -> None:
    assert sentence in fails(tmp_path, code=2, environment=environment)


def test_a_bad_engine_argument(demo: Path, tmp_path: Path) -> None:
    log = fails(tmp_path, str(demo), "--api-key", "secret-of-mine", code=2, within_s=60)
    assert "--api-key" in log
    assert "secret-of-mine" not in log


def _remove(name: str) -> Callable[[Path], None]:
    return lambda model: (model / name).unlink()


def _empty(model: Path) -> None:
    shutil.rmtree(model)
    model.mkdir()


def _garble(name: str) -> Callable[[Path], object]:
    return lambda model: (model / name).write_text('{"architectures": [')


def _cut(model: Path) -> None:
    weights = model / "model.safetensors"
    os.truncate(weights, weights.stat().st_size // 2)


def _lie(model: Path) -> None:
    (model / "model.safetensors").write_bytes(struct.pack("<Q", 2**60) + b"{}")


def _lose_a_shard(model: Path) -> None:
    shards = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (model / "model.safetensors").rename(model / shards["a"])
    (model / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (shutil.rmtree, "does not exist"),
        (_empty, "is empty"),
        (_remove("config.json"), "no config.json"),
        (_garble("config.json"), "not valid JSON"),
        (_remove("model.safetensors"), "no weights"),
        (_cut, "cut short"),
        (_lie, "not a safetensors file"),
        (_lose_a_shard, "lacks 1 of 2"),
        (_garble("tokenizer.json"), "not valid JSON"),
    ],
    ids=["gone", "empty", "no-config", "config", "no-weights", "cut", "lie", "shard", "tokenizer"],
)
def test_a_broken_model_directory(
    demo: Path, tmp_path: Path, damage: Callable[[Path], object], sentence: str
) -> None:
    model = tmp_path / "model"
    shutil.copytree(demo, model)
    damage(model)
    assert sentence in fails(tmp_path, str(model), code=4)


@pytest.mark.thorough
def test_an_architecture_nobody_knows(demo: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(demo, model)
    config = json.loads((model / "config.json").read_text())
    config |= {"architectures": ["NobodysForCausalLM"], "model_type": "nobodys"}
    (model / "config.json").write_text(json.dumps(config))
    log = fails(tmp_path, str(model), code=5, within_s=60)
    assert "ENGINE_START_FAILED" in log
    assert "nobodys" in log


@pytest.mark.thorough
def test_weights_that_do_not_fit_the_config(demo: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(demo, model)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "intermediate_size": 999}))
    fails(tmp_path, str(model), code=5, within_s=90)


def test_a_start_that_takes_too_long(demo: Path, tmp_path: Path) -> None:
    log = fails(
        tmp_path, str(demo), code=5, within_s=30, environment={"UNIGATE_START_TIMEOUT_S": "3"}
    )
    assert "UNIGATE_START_TIMEOUT_S" in log


@pytest.mark.thorough
def test_an_engine_that_is_killed_while_it_loads(demo: Path, tmp_path: Path, slow: float) -> None:
    with Server(str(demo), log=tmp_path / "log", slow=slow) as server:
        wait_until(lambda: "EngineCore pid" in server.log, within_s=60, what="the core has started")
        server.engine_core().kill()
        assert server.wait_for_exit(within_s=20) == 5
        server.assert_nothing_is_left()


@pytest.mark.thorough
def test_a_model_of_a_hub_is_served_under_its_name(demo: Path, tmp_path: Path, slow: float) -> None:
    with hub(demo) as origin:
        environment = {"HF_ENDPOINT": origin.url, "NIM_CACHE_PATH": str(tmp_path / "cache")}
        log = tmp_path / "log"
        with Server("hf://org/demo", log=log, slow=slow, environment=environment) as server:
            server.wait_until_ready()
            listed = server.get("/v1/models").json()["data"]
    assert [entry["id"] for entry in listed] == ["org/demo"]
    # Listed for the choice, and not again for the download: a branch may move in between.
    assert sum("/tree/" in request for request in origin.requests) == 1


def test_a_hub_that_is_not_there(tmp_path: Path) -> None:
    environment = {"HF_ENDPOINT": "http://127.0.0.1:9", "NIM_CACHE_PATH": str(tmp_path / "cache")}
    log = fails(tmp_path, "hf://org/demo", code=4, within_s=60, environment=environment)
    assert "hf://org/demo cannot be reached" in log
