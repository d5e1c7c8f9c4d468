"""Engine arguments from several sources."""

import json
from pathlib import Path

import pytest

from app.arguments import (
    Argument,
    beside_model,
    from_parsers,
    from_settings,
    from_text,
    from_words,
    merge,
    take,
)
from app.settings import BadSettingsError, Settings, read
from profiles.parsers import Parsers


def tokens(arguments: list[Argument]) -> list[str]:
    return [token for argument in arguments for token in argument.tokens]


def merged(*texts: str) -> list[str]:
    return tokens(merge(*(from_text(text, f"source {i}") for i, text in enumerate(texts))))


@pytest.mark.parametrize(
    ("texts", "result"),
    [
        (["--dtype float32"], "--dtype float32"),
        (["--dtype=float32"], "--dtype float32"),
        (["--max_model_len 5"], "--max-model-len 5"),
        (["-tp 2"], "--tensor-parallel-size 2"),
        (["--max-model-len -1"], "--max-model-len -1"),
        (["--dtype float16", "--dtype float32"], "--dtype float32"),
        (["--dtype float16 --dtype float32"], "--dtype float32"),
        (["--enforce-eager", "--no-enforce-eager"], "--no-enforce-eager"),
        (["--served-model-name a b"], "--served-model-name a b"),
        (["--x '{\"a\": 1, \"b\": {\"c\": 2}}'", "--x '{\"b\": {\"d\": 3}}'"],
         '--x {"a": 1, "b": {"c": 2, "d": 3}}'),
        (["--x '{\"a\": 1}'", "--x '{\"a\": 2}'"], '--x {"a": 2}'),
        (["--x '{\"a\": 1}'", "--x text"], "--x text"),
        (["--quantization fp8", "-q awq"], "--quantization awq"),
        (["--x.a 1", "--x.b two"], '--x {"a": 1, "b": "two"}'),
        (["--x.a.b 1 --x.a.c"], '--x {"a": {"b": 1, "c": true}}'),
        (["--x '{\"a\": 1}'", "--x.b 2"], '--x {"a": 1, "b": 2}'),
        (["--x.b 2", "--x '{\"a\": 1}'"], '--x {"b": 2, "a": 1}'),
    ],
)  # fmt: skip
def test_the_later_source_wins_and_objects_are_composed(texts: list[str], result: str) -> None:
    assert " ".join(merged(*texts)) == result


def test_an_argument_knows_its_source() -> None:
    (argument,) = merge(from_text("--dtype half", "ENV"), from_words(["--dtype=float"], "cli"))
    assert argument.source == "cli"


def test_values_with_spaces_survive_quotes() -> None:
    assert tokens(from_text("--x 'a b'", "ENV")) == ["--x", "a b"]


@pytest.mark.parametrize("text", ["--x 'a", "word --x"])
def test_what_is_not_understood_names_its_source(text: str) -> None:
    with pytest.raises(BadSettingsError, match="ENV"):
        from_text(text, "ENV")


def test_take_gives_the_value_and_the_rest() -> None:
    value, rest = take(from_words(["--port", "80", "--x"], "cli"), "--port")
    assert value == "80"
    assert tokens(rest) == ["--x"]


def test_take_refuses_a_flag_without_its_value() -> None:
    with pytest.raises(BadSettingsError, match="--port"):
        take(from_words(["--port"], "cli"), "--port")


def test_the_most_images_of_a_request_are_one_of_its_limits() -> None:
    ours = from_settings(Settings(max_images_per_prompt=4))
    (limits,) = merge(ours, from_text("--limit-mm-per-prompt.video 2", "x"))
    assert limits.tokens[0] == "--limit-mm-per-prompt"
    assert json.loads(limits.tokens[1]) == {"image": 4, "video": 2}


@pytest.mark.parametrize(
    ("said", "result"),
    [
        ("", "--enable-auto-tool-choice --tool-call-parser hermes --reasoning-parser qwen3"),
        ("--tool-call-parser x",
         "--enable-auto-tool-choice --tool-call-parser x --reasoning-parser qwen3"),
        ("--no-enable-auto-tool-choice",
         "--no-enable-auto-tool-choice --tool-call-parser hermes --reasoning-parser qwen3"),
        ("--reasoning-parser=",
         "--enable-auto-tool-choice --tool-call-parser hermes --reasoning-parser "),
    ],
)  # fmt: skip
def test_what_is_said_wins_over_what_the_template_says(said: str, result: str) -> None:
    chosen = from_parsers(Parsers("hermes", "qwen3"))
    assert {argument.source for argument in chosen} == {"chat template"}
    assert " ".join(tokens(merge(chosen, from_text(said, "command line")))) == result


def test_nothing_certain_is_no_flag() -> None:
    assert from_parsers(Parsers()) == []


def test_nims_variables_for_tools_are_flags() -> None:
    environment = {
        "NIM_ENABLE_AUTO_TOOL_CHOICE": "1",
        "NIM_TOOL_CALL_PARSER": "mine",
        "NIM_TOOL_PARSER_PLUGIN": "mine.py",
        "NIM_CHAT_TEMPLATE": "chat.jinja",
    }
    made = from_settings(read(environment).settings)
    assert tokens(made) == [
        "--enable-auto-tool-choice", "--tool-call-parser", "mine",
        "--tool-parser-plugin", "mine.py", "--chat-template", "chat.jinja",
    ]  # fmt: skip
    assert [argument.source for argument in made] == list(environment)
    off = from_settings(read({"NIM_ENABLE_AUTO_TOOL_CHOICE": "0"}).settings)
    assert tokens(off) == ["--no-enable-auto-tool-choice"]


def test_a_bare_name_is_a_file_of_the_model_if_it_has_one(tmp_path: Path) -> None:
    (tmp_path / "chat.jinja").touch()
    said = "--chat-template chat.jinja --tool-parser-plugin other.py --dtype chat.jinja"
    made = beside_model(from_text(said, "command line"), tmp_path)
    assert tokens(made) == [
        "--chat-template", str(tmp_path / "chat.jinja"),
        "--tool-parser-plugin", "other.py", "--dtype", "chat.jinja",
    ]  # fmt: skip
    outside = from_text("--chat-template ../chat.jinja", "command line")
    assert beside_model(outside, tmp_path) == outside
