"""Chooses the parsers of tool calls and of reasoning by what the model's own files say.

A table of rules, the most specific first. Markers in the chat template decide, for they are right
for fine-tunes too; where families share their markers, the config's `model_type` does. Where
nothing is certain no parser is chosen: a wrong one of reasoning swallows whole answers.

The names are vLLM's; what each parser expects was read in vLLM 0.32.0.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2.exceptions import TemplateError

from profiles.chat_template import ChatTemplate, read_chat_template, read_object
from profiles.generation_prompt import Thinking, Thought, knows_tools, thinking

_VOCABULARIES = ("tokenizer.json", "tokenizer_config.json", "added_tokens.json", "tekken.json")


@dataclass(frozen=True, slots=True)
class Parsers:
    """vLLM's names of the parsers; None where none is certain."""

    tool_calls: str | None = None
    reasoning: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A parser, and what must hold for a model that it is right for."""

    parser: str
    markers: tuple[str, ...] = ()
    """Words of the chat template, all of which must be there."""

    absent: tuple[str, ...] = ()
    """Words of the chat template, none of which may be there."""

    model_types: tuple[str, ...] = ()
    """One of them must be the config's; any does without."""

    tokens: tuple[str, ...] = ()
    """Without these in its vocabulary the parser does not start."""

    def fits(self, template: str, model_type: str) -> bool:
        """Whether template and type are as the rule says."""
        return (
            (not self.model_types or model_type in self.model_types)
            and all(marker in template for marker in self.markers)
            and not any(marker in template for marker in self.absent)
        )


_THINK = ("<think>", "</think>")
_DEEPSEEK = ("<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>")
_STEP3 = ("<｜tool_calls_begin｜>", "<｜tool_calls_end｜>")
_LFM2 = ("<|tool_call_start|>", "<|tool_call_end|>")
_LLAMA_JSON = '"parameters": dictionary of argument name'

# Of models that bring no template: vLLM has their encoders in Python.
ENCODED = {
    "deepseek_v32": Parsers("deepseek_v32", "deepseek_v3"),
    "deepseek_v4": Parsers("deepseek_v4", "deepseek_v4"),
}

TOOL_CALLS = (
    Rule(parser="openai", model_types=("gpt_oss",)),
    # DeepSeek V3 and R1 fence the arguments; V3.1 does not.
    Rule(parser="deepseek_v3", markers=(_DEEPSEEK[0], "```json"), tokens=_DEEPSEEK),
    Rule(parser="deepseek_v31", markers=(_DEEPSEEK[0],), tokens=_DEEPSEEK),
    Rule(parser="kimi_k2", markers=("<|tool_calls_section_begin|>", "<|tool_call_begin|>")),
    Rule(parser="minimax_m2", markers=("<minimax:tool_call>", "<invoke")),
    Rule(parser="seed_oss", markers=("<seed:tool_call>", "<function=")),
    Rule(parser="gemma4", markers=("<|tool_call>", "<tool_call|>")),
    Rule(parser="functiongemma", markers=("<start_function_call>", "<escape>")),
    Rule(parser="lfm2", markers=("<|tool_list_start|>",), tokens=_LFM2),
    Rule(parser="lfm2", markers=("<|tool_call_start|>",), tokens=_LFM2),
    Rule(parser="apertus", markers=("<|tools_prefix|>",), tokens=("<|tools_prefix|>",)),
    Rule(parser="internlm", markers=("<|action_start|>", "<|plugin|>", "<|action_end|>")),
    Rule(parser="step3", markers=("<｜tool_calls_begin｜>", "steptml:invoke"), tokens=_STEP3),
    Rule(parser="cohere_command3", markers=("<|START_ACTION|>", "<|START_THINKING|>"),
         absent=("<|START_TEXT|>",)),
    Rule(parser="mistral", markers=("[TOOL_CALLS]",), tokens=("[TOOL_CALLS]",)),
    # Others have taken GLM's tags over, with another way to begin a call.
    Rule(parser="glm45", markers=("[gMASK]<sop>", "<tool_call>", "<arg_key>")),
    Rule(parser="step3p5", markers=("<tool_call>", "<function="), model_types=("step3p5",)),
    Rule(parser="mimo", markers=("<tool_call>", "<function="), model_types=("mimo_v2_flash",)),
    Rule(parser="qwen3_coder", markers=("<tool_call>", "<function=", "<parameter=")),
    Rule(parser="granite", markers=("<|tool_call|>", "<|start_of_role|>")),
    Rule(parser="granite4", markers=("<tool_call>", "<|start_of_role|>")),
    Rule(parser="ernie45", markers=("<tool_call>",), model_types=("ernie4_5", "ernie4_5_moe")),
    # Their own templates, and vLLM's for them, ask for Python or for JSON.
    Rule(parser="llama4_pythonic", markers=("<|header_start|>", "[func_name1(")),
    Rule(parser="llama4_json", markers=("<|header_start|>", _LLAMA_JSON),
         tokens=("<|python_tag|>",)),
    Rule(parser="pythonic", markers=("<|start_header_id|>", "[func_name1(")),
    Rule(parser="llama3_json", markers=("<|start_header_id|>", _LLAMA_JSON),
         absent=("<function=",), tokens=("<|python_tag|>",)),
    Rule(parser="phi4_mini_json", markers=("functools[",)),
    Rule(parser="olmo3", markers=("<function_calls>", "<functions>"), absent=("<invoke",)),
    Rule(parser="jamba", markers=("<tool_calls>",), model_types=("jamba",),
         tokens=("<tool_calls>", "</tool_calls>")),
    Rule(parser="hunyuan_a13b", markers=("<tool_calls>",), model_types=("hunyuan_v1_moe",)),
    # JSON between the tags of Hermes: Qwen 2.5, QwQ, Qwen 3 and very many others.
    Rule(parser="hermes", markers=("<tool_call>", "</tool_call>", '"arguments"'),
         absent=("<arg_key>", "<function=", "<invoke", "<tool_calls>")),
)  # fmt: skip

REASONING = (
    Rule(parser="openai_gptoss", model_types=("gpt_oss",)),
    Rule(parser="mistral", markers=("[THINK]", "[TOOL_CALLS]"),
         tokens=("[THINK]", "[TOOL_CALLS]")),
    Rule(parser="seed_oss", markers=("<seed:think>",)),
    Rule(parser="gemma4", markers=("<|channel>", "<channel|>")),
    Rule(parser="cohere_command3", markers=("<|START_ACTION|>", "<|START_THINKING|>"),
         absent=("<|START_TEXT|>",)),
    Rule(parser="minimax_m2", markers=("<minimax:tool_call>", "<think>")),
    Rule(parser="kimi_k2", markers=("<|tool_calls_section_begin|>", "<think>")),
    Rule(parser="glm45", markers=("[gMASK]<sop>", "<think>")),
    Rule(parser="hunyuan_a13b", markers=("<think>", "<answer>"), model_types=("hunyuan_v1_moe",)),
)  # fmt: skip

# Of those that think between <think> and </think>, by how their answers begin. Each of these
# parsers but the first takes the text before </think> for a thought, whoever has opened it.
OPENED_BY_ASKING = Rule(parser="deepseek_v3", tokens=_THINK)
OPEN_UNLESS_ASKED = (
    Rule(parser="nemotron_v3", markers=("<function=",), model_types=("nemotron_h",)),
    Rule(parser="qwen3"),
)
ALWAYS_OPEN = (
    Rule(parser="step3p5", model_types=("step3p5",)),
    Rule(parser="step3", model_types=("step3_vl", "step3_text"), tokens=("</think>",)),
    Rule(parser="ernie45", model_types=("ernie4_5", "ernie4_5_moe"), tokens=_THINK),
    # Its tokens are words of several.
    Rule(parser="olmo3", model_types=("olmo2", "olmo3")),
    Rule(parser="deepseek_r1", tokens=_THINK),
)


def detect(directory: Path, own_template: str | None = None) -> Parsers:
    """The parsers for a model's directory, with the user's chat template if there is one.

    Never raises: files that cannot be read decide nothing.
    """
    model_type = str(read_object(directory / "config.json").get("model_type", ""))
    template = read_chat_template(directory, own_template)
    if template is None:
        return _without_template(directory, model_type)
    try:
        has_tools = knows_tools(template.with_tools)
    except (TemplateError, RecursionError):
        return Parsers()  # nobody can render it
    return Parsers(
        tool_calls=_first(TOOL_CALLS, template.with_tools, model_type, directory)
        if has_tools
        else None,
        reasoning=_reasoning(template, model_type, directory),
    )


def _without_template(directory: Path, model_type: str) -> Parsers:
    if model_type in ENCODED:
        return ENCODED[model_type]
    if (directory / "tekken.json").exists():  # Mistral's tokenizer encodes chats by itself
        return Parsers(tool_calls=_first(TOOL_CALLS, "[TOOL_CALLS]", model_type, directory))
    return Parsers()


def _reasoning(template: ChatTemplate, model_type: str, directory: Path) -> str | None:
    known = _first(REASONING, template.plain, model_type, directory)
    if known is not None:
        return known
    begins = thinking(template.plain)
    rules = _by_beginning(begins) if begins else ()
    return _first(rules, template.plain, model_type, directory)


def _by_beginning(begins: Thinking) -> Sequence[Rule]:
    """The rules for models whose answers begin so."""
    if Thought.OPEN is begins.default is begins.on is begins.off:
        return ALWAYS_OPEN
    if begins.default is begins.on and Thought.CLOSED is begins.off is not begins.on:
        return OPEN_UNLESS_ASKED
    if begins.default is not Thought.OPEN and begins.on is not begins.default:
        return (OPENED_BY_ASKING,)
    return ()


def _first(rules: Sequence[Rule], template: str, model_type: str, directory: Path) -> str | None:
    """The first rule that fits decides, even if it is to choose nothing for want of a token."""
    rule = next((rule for rule in rules if rule.fits(template, model_type)), None)
    return rule.parser if rule and _has_tokens(directory, rule.tokens) else None


def _has_tokens(directory: Path, tokens: Sequence[str]) -> bool:
    """Whether the model's vocabulary has them, as whole words in one of its files."""
    if not tokens:
        return True
    written = []
    for name in _VOCABULARIES:
        try:
            written.append((directory / name).read_bytes())
        except OSError:
            continue
    return all(
        any(form.encode() in content for content in written for form in _forms(token))
        for token in tokens
    )


def _forms(token: str) -> tuple[str, str]:
    """A token as JSON has it, with its letters or with their numbers."""
    return json.dumps(token, ensure_ascii=False), json.dumps(token)
