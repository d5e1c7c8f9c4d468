"""The built-in model answers questions it was not trained on, over the real server."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from tests.support.server import Server

SHEET = yaml.safe_load(
    (Path(__file__).parents[2] / "deploy" / "demo" / "questions.yaml").read_text()
)
LARGEST_BYTES = 4 * 1024 * 1024


def ask(server: Server, row: dict[str, Any]) -> dict[str, Any]:
    """The message that answers one row of the sheet."""
    messages: list[dict[str, Any]] = []
    if "system" in row:
        messages.append({"role": "system", "content": row["system"]})
    for i, text in enumerate(row.get("before", [])):
        messages.append({"role": ("user", "assistant")[i % 2], "content": text})
    messages.append({"role": "user", "content": row["ask"]})
    if "result" in row:
        call = {**row["call"], "arguments": json.dumps(row["call"]["arguments"])}
        calls = [{"id": "call_1", "type": "function", "function": call}]
        messages.append({"role": "assistant", "content": None, "tool_calls": calls})
        messages.append({"role": "tool", "tool_call_id": "call_1", "content": row["result"]})
    body: dict[str, Any] = {"messages": messages, "temperature": 0}
    if "tools" in row:
        tools = ({"name": name, **SHEET["tools"][name]} for name in row["tools"])
        body["tools"] = [{"type": "function", "function": tool} for tool in tools]
    if row.get("thinking"):
        body["chat_template_kwargs"] = {"enable_thinking": True}
    message: dict[str, Any] = server.post("/v1/chat/completions", body).json()["choices"][0][
        "message"
    ]
    return message


def is_right(row: dict[str, Any], message: dict[str, Any]) -> bool:
    calls = [
        {
            "name": call["function"]["name"],
            "arguments": json.loads(call["function"]["arguments"]),
        }
        for call in message.get("tool_calls") or []
    ]
    return (
        row.get("expect", "") in (message["content"] or "")
        and calls == row.get("calls", [])
        and bool(message["reasoning"]) == bool(row.get("thinking"))
    )


def test_four_of_five_answers_are_right(server: Server) -> None:
    rows = [row for kind in ("questions", "calls", "results") for row in SHEET[kind]]
    with ThreadPoolExecutor(4) as pool:
        messages = list(pool.map(lambda row: ask(server, row), rows))
    pairs = zip(rows, messages, strict=True)
    wrong = [row["ask"] for row, message in pairs if not is_right(row, message)]
    # A model this small misses some; a broken template or parser misses them all.
    assert len(wrong) <= len(rows) / 5, wrong


def test_it_is_honest_about_itself(server: Server) -> None:
    content = ask(server, {"ask": "Who are you?"})["content"]
    assert "unigate-demo" in content
    assert "demonstration" in content


def test_its_parsers_are_chosen_by_its_template_and_the_log_says_so(server: Server) -> None:
    (line,) = [line for line in server.log.splitlines() if "parsers.chosen" in line]
    assert "hermes (chat template)" in line
    assert "deepseek_v3 (chat template)" in line


def test_it_is_small(demo: Path) -> None:
    assert (demo / "model.safetensors").stat().st_size <= LARGEST_BYTES
