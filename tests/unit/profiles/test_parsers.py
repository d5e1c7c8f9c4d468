"""Which parsers are chosen by a model's own files, and what decides nothing."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from profiles import parsers
from profiles.parsers import Parsers, detect

FACTS = yaml.safe_load((Path(__file__).parents[2] / "data" / "chat_templates.yaml").read_text())
THINK = ["<think>", "</think>"]
QWEN = (
    "{% for tool in tools %}<tool_call>{'name': …, \"arguments\": …}</tool_call>{% endfor %}"
    "{{ messages[0].content }}{% if enable_thinking is false %}<think></think>{% endif %}"
)


def model(
    directory: Path, template: object = None, *, tokens: list[str] = THINK, **config: Any
) -> Path:
    """A directory with the files that the choice is made by."""
    directory.mkdir(exist_ok=True)
    (directory / "config.json").write_text(json.dumps(config))
    (directory / "tokenizer.json").write_text(json.dumps({"added_tokens": tokens}))
    if isinstance(template, str):
        (directory / "chat_template.jinja").write_text(template)
    elif template is not None:
        text = json.dumps({"chat_template": template})
        (directory / "tokenizer_config.json").write_text(text)
    return directory


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact["model"])
def test_a_published_family_gets_its_parsers(fact: dict[str, Any], tmp_path: Path) -> None:
    words = "".join(fact.get("words", []))
    tools = "{{ tools }}" if fact.get("tools", True) else ""
    template = f"{tools}{{% raw %}}{words}{{% endraw %}}{{{{ messages[0].content }}}}"
    rules = (*parsers.TOOL_CALLS, *parsers.REASONING, *parsers.ALWAYS_OPEN)
    tokens = [*THINK, *(token for rule in rules for token in rule.tokens)]
    config = {"model_type": fact.get("type", "llama")}
    directory = model(tmp_path, template + fact.get("begins", ""), tokens=tokens, **config)
    expected = Parsers(fact.get("tool_calls"), fact.get("reasoning"))
    assert detect(directory) == expected


def test_the_built_in_model_needs_no_flags(demo: Path) -> None:
    assert detect(demo) == Parsers("hermes", "deepseek_v3")


@pytest.mark.parametrize(
    "template",
    [
        QWEN,
        [{"name": "default", "template": QWEN}],
        [{"name": "tool_use", "template": QWEN}, {"name": "default", "template": QWEN}],
    ],
    ids=["text", "list", "list of two"],
)
def test_a_template_is_found_in_every_place_there_is_for_one(
    template: object, tmp_path: Path
) -> None:
    expected = Parsers("hermes", "qwen3")
    assert detect(model(tmp_path / "config", template)) == expected
    processor = model(tmp_path / "processor")
    (processor / "chat_template.json").write_text(json.dumps({"chat_template": template}))
    assert detect(processor) == expected
    if isinstance(template, str):
        assert detect(model(tmp_path / "file", template)) == expected


def test_the_file_wins_over_the_tokenizers_config(tmp_path: Path) -> None:
    directory = model(tmp_path, [{"name": "default", "template": "{{ messages }}"}])
    (directory / "chat_template.jinja").write_text(QWEN)
    assert detect(directory).tool_calls == "hermes"


def test_the_users_template_wins_over_the_models(tmp_path: Path) -> None:
    own = tmp_path / "own.jinja"
    own.write_text("{{ messages[0].content }}")
    directory = model(tmp_path / "model", QWEN)
    assert detect(directory, str(own)) == Parsers()
    assert detect(directory, "{{ messages[0].content }}") == Parsers()
    plain = model(tmp_path / "plain", "{{ messages[0].content }}")
    assert detect(plain, QWEN) == Parsers("hermes", "qwen3")


def test_tools_need_a_template_that_tells_of_them(tmp_path: Path) -> None:
    assert detect(model(tmp_path, QWEN.replace("in tools", "in ()"))) == Parsers(None, "qwen3")


@pytest.mark.parametrize(
    ("begins", "parser"),
    [
        ("<think>", "deepseek_r1"),
        ("{% if enable_thinking is false %}<think></think>{% endif %}", "qwen3"),
        ("<think>{% if enable_thinking is false %}</think>{% endif %}", "qwen3"),
        ("{% if not thinking %}</think>{% else %}<think>{% endif %}", "deepseek_v3"),
        ("{% if not enable_thinking | default(false) %}<think></think>{% endif %}", "deepseek_v3"),
        ("{% if enable_thinking %}<think>{% endif %}", "deepseek_v3"),
        # Whether it thinks when nobody says is not to be seen; this parser takes that for words.
        ("{% if enable_thinking is true %}<think>{% elif enable_thinking is false %}</think>"
         "{% endif %}", "deepseek_v3"),
        ("", None),
        ("<think></think>", None),
    ],
)  # fmt: skip
def test_how_an_answer_begins_decides_who_reads_thoughts(
    begins: str, parser: str | None, tmp_path: Path
) -> None:
    template = "{{ messages[0].content.split('</think>')[-1] }}" + begins
    assert detect(model(tmp_path, template)) == Parsers(None, parser)


def test_a_parser_that_could_not_start_is_not_chosen(tmp_path: Path) -> None:
    assert detect(model(tmp_path / "without", "{{ messages[0].content }}<think>", tokens=[])) == (
        Parsers()
    )
    directory = model(tmp_path / "tuned", "{{ tools }}[TOOL_CALLS]{{ messages }}", tokens=[])
    assert detect(directory) == Parsers()
    # The template in that file has the word too, and that is no token.
    model(directory, [{"name": "default", "template": '{{ tools }}"[TOOL_CALLS]"'}], tokens=[])
    assert detect(directory) == Parsers()


def test_mistrals_own_format_needs_no_template(tmp_path: Path) -> None:
    directory = model(tmp_path, model_type="mistral")
    assert detect(directory) == Parsers()
    (directory / "tekken.json").write_text(json.dumps({"special_tokens": ["[TOOL_CALLS]"]}))
    assert detect(directory) == Parsers("mistral")


ABSURD = {
    "not closed": "{% for",
    "refuses": "{{ raise_exception('no') }}{{ tools }}<tool_call>",
    "divides by zero": "{{ 1 / 0 }}",
    "leaves the sandbox": "{{ ''.__class__.__mro__ }}",
    "counts to a billion": "{% for a in range(10 ** 9) %}{% endfor %}",
    "calls itself": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "nested too deep": "{{ " + "(" * 5000,
    "of a megabyte": "{{ messages[0].content }}" + "<think>" * 200_000,
    "a number": 17,
    "a list of odds": [{"name": 1}, "text", None],
    "an empty list": [],
    "an empty text": "",
}


@pytest.mark.parametrize("template", ABSURD.values(), ids=ABSURD)
def test_an_absurd_template_decides_nothing(template: object, tmp_path: Path) -> None:
    assert detect(model(tmp_path, template)) == Parsers()


def test_broken_files_decide_nothing(tmp_path: Path) -> None:
    assert detect(tmp_path / "missing") == Parsers()
    directory = model(tmp_path / "model")
    for name in ("config.json", "tokenizer_config.json", "chat_template.json", "tokenizer.json"):
        (directory / name).write_bytes(b"\xff{")
    (directory / "chat_template.jinja").write_bytes(b"\xff\xfe")
    assert detect(directory) == Parsers()
    (directory / "chat_template.jinja").unlink()
    (directory / "chat_template.jinja").mkdir()
    assert detect(directory, "a\0b") == Parsers()
    assert detect(directory) == Parsers()
