"""What routines rely on in vLLM and transformers: an upgrade breaks here first."""

import inspect

from transformers.utils.chat_template_utils import _compile_jinja_template
from vllm.entrypoints.openai.chat_completion.serving import OpenAIServingChat
from vllm.reasoning.deepseek_v3_reasoning_parser import DeepSeekV3ReasoningParser
from vllm.renderers.online_renderer import OnlineRenderer
from vllm.v1.engine import EngineCoreRequest
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.output_processor import OutputProcessor


def parameters(function: object) -> set[str]:
    return set(inspect.signature(function).parameters)  # type: ignore[arg-type]  # any callable


def test_what_a_routine_leaves_out_is_what_vllm_does_without_it() -> None:
    assert {"request", "prompt", "parent_req", "index", "queue"} <= parameters(
        AsyncLLM._add_request
    )
    both = {"request", "result_generator", "request_id", "model_name", "conversation", "tokenizer"}
    both |= {"request_metadata", "mm_token_counts"}
    chat = OpenAIServingChat
    assert both | {"parser"} <= parameters(chat.chat_completion_full_generator)
    streamed = parameters(chat.chat_completion_stream_generator)
    assert both | {"chat_template_kwargs"} == streamed - {"self"}
    # Another field may have to be made anew for each request.
    assert set(EngineCoreRequest.__struct_fields__) == {
        "request_id", "external_req_id", "arrival_time", "prompt_token_ids", "cache_salt",
        "mm_features", "sampling_params", "pooling_params", "lora_request", "data_parallel_rank",
        "prompt_embeds", "prompt_is_token_ids", "client_index", "current_wave", "priority",
        "trace_headers", "resumable", "reasoning_ended", "reasoning_parser_kwargs",
        "abort_immediately", "session_id", "kv_hints",
    }  # fmt: skip
    assert "self._parser = IdentityReasoningParser" in inspect.getsource(DeepSeekV3ReasoningParser)
    assert callable(_compile_jinja_template)


def test_what_a_routine_does_for_tools_several_answers_and_logprobs_is_what_vllm_does() -> None:
    rendering = inspect.getsource(OnlineRenderer.render_chat)
    assert "tool_dicts = [tool.model_dump() for tool in request.tools]" in rendering
    assert 'request.tool_choice == "none" and self.exclude_tools_when' in rendering
    assert "tools=tool_dicts" in inspect.getsource(OnlineRenderer.preprocess_chat)
    adding = inspect.getsource(AsyncLLM.add_request)
    for step in (
        "ParentRequest(request)",
        "parent_request.get_child_info(idx)",
        "self.check_admission(parent_params.n, parent_request.request_id)",
        "self.output_processor.add_request(",
        "await self.engine_core.add_request_async(child_request)",
        "await self.abort(parent_request.request_id, internal=True)",
    ):
        assert step in adding
        adding = adding.partition(step)[2]  # one after the other
    assert [*inspect.signature(OutputProcessor.add_request).parameters] == [
        "self", "request", "prompt", "parent_req", "request_index", "queue",
    ]  # fmt: skip
    streaming = inspect.getsource(OpenAIServingChat.chat_completion_stream_generator)
    begin = streaming.index("self._create_chat_logprobs(")
    assert streaming[begin : streaming.index("else:", begin)].count("=") == len(
        parameters(OpenAIServingChat._create_chat_logprobs) - {"self"}
    )
