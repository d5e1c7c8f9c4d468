"""LoRA adapters of a real engine: found, loaded, changed, removed, freed; and every way to fail."""

import re
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.adapters import merged_answer, tensors, write_adapter
from tests.support.errors import assert_error
from tests.support.reader import Reader
from tests.support.server import Server
from tests.support.sse import DONE, text_of
from tests.support.wait import wait_until

LOAD, UNLOAD = "/v1/load_lora_adapter", "/v1/unload_lora_adapter"
BASE = "unigate-demo"
WEIGHTS = "adapter_model.safetensors"
TIMEOUT_S = 4.0
MESSAGES = [{"role": "user", "content": "What is unigate?"}]


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """NIM_PEFT_SOURCE as the server finds it at its start: two that are good, some that are not."""
    root = tmp_path_factory.mktemp("adapters")
    write_adapter(root / "one", seed=1)
    write_adapter(root / "two", seed=2)
    write_adapter(root / "too-high", rank=32)
    write_adapter(root / "more-layers", weights=tensors(3, layers=7))
    small = {name: one[:, :64] if "lora_A" in name else one for name, one in tensors(3).items()}
    write_adapter(root / "narrow", weights=small)
    narrow_values = {
        name: one[:64] if "v_proj.lora_B" in name else one for name, one in tensors(3).items()
    }
    write_adapter(root / "fewer-values", weights=narrow_values)
    write_adapter(root / "dora", use_dora=True)
    write_adapter(root / BASE)
    (root / "outside").symlink_to("/etc")
    return root


@pytest.fixture(scope="session")
def adapter_server(
    demo: Path, root: Path, slow: float, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server with few places for adapters, so that they have to make room for each other."""
    environment = {
        "NIM_PEFT_SOURCE": str(root),
        "NIM_PEFT_REFRESH_INTERVAL": "0.3",
        "NIM_PEFT_API_TIMEOUT_SECS": str(TIMEOUT_S * slow),
        "NIM_MAX_LORA_RANK": "8",
        "NIM_MAX_GPU_LORAS": "2",
        "NIM_MAX_CPU_LORAS": "4",
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1",
    }
    log = tmp_path_factory.mktemp("adapter-server") / "log"
    with Server(str(demo), log=log, slow=slow, environment=environment) as running:
        running.wait_until_ready()
        yield running


def metric(server: Server, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", server.get("/v1/metrics").text, re.MULTILINE)
    assert found, name
    return float(found[1])


def names(server: Server) -> set[str]:
    return {card["id"] for card in server.get("/v1/models").json()["data"]}


def tokens_of(server: Server, model: str, length: int = 12) -> list[int]:
    """What the server generates for the one prompt, as token ids."""
    prompt = server.post("/tokenize", {"messages": MESSAGES}).json()["tokens"]
    body = {
        "model": model, "prompt": prompt, "max_tokens": length, "temperature": 0,
        "ignore_eos": True, "return_token_ids": True,
    }  # fmt: skip
    answer = server.post("/v1/completions", body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["model"] == model
    tokens: list[int] = answer.json()["choices"][0]["token_ids"]
    return tokens


def load(server: Server, name: str, path: str, **fields: Any) -> httpx.Response:
    return server.post(LOAD, {"lora_name": name, "lora_path": path, **fields})


def until_served(server: Server, name: str, slow: float) -> None:
    wait_until(lambda: name in names(server), within_s=10, what=f"{name} is served")


def until_gone(server: Server, name: str, slow: float) -> None:
    wait_until(lambda: name not in names(server), within_s=10, what=f"{name} is gone")


def until_in_engine(server: Server, count: int, slow: float) -> None:
    wait_until(
        lambda: metric(server, "unigate_adapters_in_engine") == count,
        within_s=15,
        what=f"the engine has {count} adapters",
    )


def until_nothing_lingers(server: Server, slow: float) -> None:
    """Wait for the engine to be rid of what tests before have unloaded."""
    wait_until(
        lambda: metric(server, "unigate_adapters_in_engine") <= metric(server, "unigate_adapters"),
        within_s=15,
        what="the engine has no more adapters than are served",
    )


def test_adapters_that_are_there_at_the_start_are_models(adapter_server: Server) -> None:
    cards = {card["id"]: card for card in adapter_server.get("/v1/models").json()["data"]}
    assert {BASE, "one", "two"} <= cards.keys()
    assert (cards[BASE]["root"], cards[BASE]["parent"]) == (BASE, None)
    assert (cards["one"]["root"], cards["one"]["parent"]) == (BASE, BASE)
    assert adapter_server.get("/v1/models/one").json() == cards["one"]


def test_an_answer_is_that_of_the_model_with_the_adapter_in_its_weights(
    adapter_server: Server, demo: Path, root: Path
) -> None:
    prompt = adapter_server.post("/tokenize", {"messages": MESSAGES}).json()["tokens"]
    answers = {name: tokens_of(adapter_server, name) for name in (BASE, "one", "two")}
    for name in ("one", "two"):
        assert answers[name] == merged_answer(demo, root / name, prompt, 12)
        assert answers[name] != answers[BASE]


def test_every_dialect_takes_an_adapters_name(adapter_server: Server) -> None:
    text = "What is unigate?"
    for route, body in {
        "/v1/chat/completions": {"messages": MESSAGES, "max_tokens": 5},
        "/v1/completions": {"prompt": text, "max_tokens": 5},
        "/v1/responses": {"input": text, "max_output_tokens": 5},
        "/v1/messages": {"messages": MESSAGES, "max_tokens": 5},
    }.items():
        answer = adapter_server.post(route, {"model": "one", "temperature": 0, **body})
        assert answer.status_code == 200, answer.text
        assert answer.json()["model"] == "one"
    for route in ("/tokenize", "/v1/chat/completions/render"):
        body = {"model": "one", "messages": MESSAGES}
        assert adapter_server.post(route, body).status_code == 200


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("too-high", "rank"),
        ("more-layers", "modules"),
        ("narrow", "modules"),
        ("fewer-values", "modules"),
        ("dora", "engine"),
        (BASE, "name"),
        ("outside", "place"),
    ],
)
def test_what_is_not_loaded_is_said_once_with_its_reason(
    adapter_server: Server, name: str, reason: str
) -> None:
    lines = [line for line in adapter_server.log.splitlines() if f"refused adapter={name} " in line]
    assert len(lines) == 1
    assert f"code={reason}" in lines[0]
    assert metric(adapter_server, f'unigate_adapter_refusals_total{{reason="{reason}"}}') >= 1


def test_an_unknown_model_is_told_the_adapters_too(adapter_server: Server) -> None:
    refused = adapter_server.post("/v1/chat/completions", {"model": "x", "messages": MESSAGES})
    message = assert_error(refused, 404, "model_not_found")["message"]
    assert BASE in message
    assert "one, two" in message


def test_an_adapter_that_is_copied_slowly_appears_when_it_is_whole(
    adapter_server: Server, root: Path, tmp_path: Path, slow: float
) -> None:
    whole = write_adapter(tmp_path / "slow", seed=4)
    content = (whole / WEIGHTS).read_bytes()
    copy = root / "slow"
    copy.mkdir()
    shutil.copy(whole / "adapter_config.json", copy)
    with (copy / WEIGHTS).open("wb") as file:
        for part in range(10):
            step = len(content) // 10 + 1
            file.write(content[part * step : (part + 1) * step])
            file.flush()
            time.sleep(0.1)  # less than two looks
            assert "slow" not in names(adapter_server)
    until_served(adapter_server, "slow", slow)
    assert "refused adapter=slow" not in adapter_server.log
    shutil.rmtree(copy)
    until_gone(adapter_server, "slow", slow)
    until_in_engine(adapter_server, 2, slow)


@pytest.mark.thorough
def test_what_runs_on_a_changed_or_removed_adapter_ends_on_its_old_weights(
    adapter_server: Server, root: Path, tmp_path: Path, slow: float
) -> None:
    server, mine = adapter_server, root / "mine"
    write_adapter(mine, seed=5)
    until_served(server, "mine", slow)
    fifth = tokens_of(server, "mine")
    before = Reader(server, tmp_path / "alone", model="mine", max_tokens=400, temperature=0)
    alone = text_of(before.events())
    first = Reader(server, tmp_path / "1", model="mine", max_tokens=400, temperature=0)
    first.wait_until_begun()
    write_adapter(mine, seed=6)
    wait_until(lambda: "adapter=mine replaced=True" in server.log, within_s=10, what="replaced")
    second = Reader(server, tmp_path / "2", model="mine", max_tokens=400, temperature=0)
    second.wait_until_begun()
    sixth = tokens_of(server, "mine")
    shutil.rmtree(mine)
    until_gone(server, "mine", slow)
    for reader in (first, second):
        assert not reader.has_ended(), "it was too short to prove anything"
    refused = server.post("/v1/completions", {"model": "mine", "prompt": "x"})
    assert_error(refused, 404, "model_not_found")
    assert fifth != sixth
    assert text_of(first.events()) == alone
    ended = second.events()
    assert ended[-1] == DONE
    assert text_of(ended) != alone
    until_in_engine(server, 2, slow)


def test_the_engine_keeps_an_unloaded_adapter_until_its_last_request_is_over(
    adapter_server: Server, root: Path, tmp_path: Path, slow: float
) -> None:
    server = adapter_server
    write_adapter(root / ".by-request" / "a", seed=7)
    answer = load(server, "team/a", ".by-request/a")
    assert answer.status_code == 200, answer.text
    assert answer.text == "Success: LoRA adapter 'team/a' added successfully."
    assert server.get("/v1/models/team/a").json()["parent"] == BASE
    until_in_engine(server, 3, slow)
    background = {"model": "team/a", "input": "x", "background": True, "max_output_tokens": 400,
                  "ignore_eos": True}  # fmt: skip
    kept = server.post("/v1/responses", background).json()
    reader = Reader(server, tmp_path / "stream", model="team/a", max_tokens=300)
    reader.wait_until_begun()
    gone = server.post(UNLOAD, {"lora_name": "team/a"})
    assert gone.text == "Success: LoRA adapter 'team/a' removed successfully."
    assert "team/a" not in names(server)
    assert metric(server, "unigate_adapters") == 2
    assert metric(server, "unigate_adapters_in_engine") == 3
    assert reader.events()[-1] == DONE
    wait_until(
        lambda: server.get(f"/v1/responses/{kept['id']}").json()["status"] != "in_progress",
        within_s=30,
        what="the response in the background has ended",
    )
    assert server.get(f"/v1/responses/{kept['id']}").json()["status"] == "incomplete"
    until_in_engine(server, 2, slow)


def test_more_adapters_than_places_are_served_though_their_files_are_gone(
    adapter_server: Server, root: Path, slow: float
) -> None:
    server, many = adapter_server, [f"many-{seed}" for seed in range(10, 16)]
    for seed, name in enumerate(many, 10):
        write_adapter(root / ".by-request" / name, seed=seed)
        assert load(server, name, f".by-request/{name}").status_code == 200
    shutil.rmtree(root / ".by-request")
    first = [tokens_of(server, name) for name in many]
    assert [tokens_of(server, name) for name in many] == first
    assert len({tuple(tokens) for tokens in first}) == len(many)
    assert metric(server, "unigate_adapters_in_engine") <= 4
    for name in many:
        assert server.post(UNLOAD, {"lora_name": name}).status_code == 200
    assert not names(server) & set(many)


def test_loading_in_place_replaces_and_loading_twice_does_not(
    adapter_server: Server, slow: float
) -> None:
    server = adapter_server
    assert_error(load(server, "one", "two"), 400, "adapter_refused")
    assert load(server, "x", "one").status_code == 200
    assert tokens_of(server, "x") == tokens_of(server, "one")
    assert load(server, "x", "two", load_inplace=True).status_code == 200
    assert tokens_of(server, "x") == tokens_of(server, "two")
    assert server.post(UNLOAD, {"lora_name": "x"}).status_code == 200
    assert_error(server.post(UNLOAD, {"lora_name": "x"}), 404, "model_not_found")


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({}, "invalid_request", "lora_name"),
        ({"lora_name": "x"}, "invalid_request", "lora_path"),
        ({"lora_name": 5, "lora_path": "one"}, "invalid_request", "lora_name"),
        ({"lora_name": "", "lora_path": "one"}, "adapter_refused", "lora_name"),
        ({"lora_name": "../x", "lora_path": "one"}, "adapter_refused", "lora_name"),
        ({"lora_name": BASE, "lora_path": "one"}, "adapter_refused", "lora_name"),
        ({"lora_name": "x", "lora_path": "none"}, "adapter_refused", "lora_path"),
        ({"lora_name": "x", "lora_path": "org/repository"}, "adapter_refused", "lora_path"),
        ({"lora_name": "x", "lora_path": "/etc"}, "adapter_refused", "lora_path"),
        ({"lora_name": "x", "lora_path": "../../etc"}, "adapter_refused", "lora_path"),
        ({"lora_name": "x", "lora_path": "outside"}, "adapter_refused", "lora_path"),
        ({"lora_name": "x", "lora_path": "~root"}, "adapter_refused", "lora_path"),
        ({"lora_name": "x", "lora_path": "too-high"}, "adapter_refused", "lora_path"),
        ({"lora_name": "x", "lora_path": "dora"}, "adapter_refused", "lora_path"),
    ],
    ids=str,
)
def test_what_cannot_be_loaded_by_request(
    adapter_server: Server, body: dict[str, Any], code: str, param: str
) -> None:
    error = assert_error(adapter_server.post(LOAD, body), 400, code)
    assert error["param"] == param
    assert "x" not in names(adapter_server)


def test_a_part_of_a_message_is_no_adapters_name(adapter_server: Server) -> None:
    parts = [{"role": "user", "content": [{"type": "text", "text": "What is unigate?"}]}]
    body = {"model": BASE, "messages": parts, "temperature": 0, "max_tokens": 8}
    before = adapter_server.post("/v1/chat/completions", body).json()
    assert load(adapter_server, "text", "one").status_code == 200
    after = adapter_server.post("/v1/chat/completions", body).json()
    assert adapter_server.post(UNLOAD, {"lora_name": "text"}).status_code == 200
    assert (after["model"], after["choices"]) == (BASE, before["choices"])


@pytest.mark.thorough
def test_a_frozen_engine_is_not_waited_for_longer_than_set(
    adapter_server: Server, slow: float
) -> None:
    server = adapter_server
    until_nothing_lingers(server, slow)
    before = metric(server, "unigate_adapters_in_engine")
    core = server.engine_core()
    core.send_signal(signal.SIGSTOP)
    try:
        started_s = time.monotonic()
        error = assert_error(load(server, "x", "one"), 503, "engine_stalled")
        assert time.monotonic() - started_s < (TIMEOUT_S + 5) * slow
        assert "NIM_PEFT_API_TIMEOUT_SECS" in error["message"]
        assert server.post(UNLOAD, {"lora_name": "two"}).status_code == 200
    finally:
        core.send_signal(signal.SIGCONT)
    assert not names(server) & {"two", "x"}
    # What it has loaded when nobody waited any more is removed again.
    until_in_engine(server, int(before) - 1, slow)
    assert load(server, "two", "two").status_code == 200


def test_without_the_switch_the_routes_say_how_to_get_them(server: Server) -> None:
    for route in (LOAD, UNLOAD):
        refused = server.post(route, {"lora_name": "x", "lora_path": "y"})
        message = assert_error(refused, 404, "adapters_not_enabled")["message"]
        assert "NIM_PEFT_SOURCE" in message
        assert "VLLM_ALLOW_RUNTIME_LORA_UPDATING" in message
