"""The names and signatures of vLLM that we rely on, nothing else: an upgrade breaks here first."""

import asyncio
import inspect
import re
import subprocess
import sys
from typing import Any

import pytest
import vllm
from vllm.entrypoints.generate.base.serving import GenerateBaseServing
from vllm.entrypoints.launchers.cli_args import make_arg_parser
from vllm.entrypoints.openai.models.serving import OpenAIServingModels
from vllm.entrypoints.openai.responses.serving import OpenAIServingResponses
from vllm.entrypoints.pooling.scoring.io_processor import CrossEncoderIOProcessor
from vllm.entrypoints.pooling.scoring.serving import ServingScores
from vllm.entrypoints.speech_to_text.base.serving import SpeechToTextBaseServing
from vllm.lora.model_manager import LoRAModelManager
from vllm.lora.request import LoRARequest
from vllm.lora.utils import parse_fine_tuned_lora_name
from vllm.lora.worker_manager import LRUCacheWorkerLoRAManager
from vllm.multimodal.media import MEDIA_CONNECTOR_REGISTRY, MediaConnector
from vllm.parser import DelegatingParser, ParserManager
from vllm.reasoning import ReasoningParserManager
from vllm.renderers import chat_utils
from vllm.renderers.base import BaseRenderer
from vllm.renderers.online_renderer import OnlineRenderer
from vllm.renderers.params import TokenizeParams
from vllm.sampling_params import SamplingParams
from vllm.tool_parsers import ToolParser, ToolParserManager
from vllm.tool_parsers.hermes_tool_parser import Hermes2ProToolParser
from vllm.utils.argparse_utils import FlexibleArgumentParser
from vllm.v1.engine import EngineCoreOutput
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.core import DPEngineCoreProc, EngineCoreProc
from vllm.v1.engine.core_client import AsyncMPClient
from vllm.v1.engine.detokenizer import IncrementalDetokenizer
from vllm.v1.engine.output_processor import (
    OutputProcessor,
    RequestOutputCollector,
    RequestState,
)
from vllm.v1.executor.multiproc_executor import WorkerProc
from vllm.v1.sample import sampler
from vllm.v1.sample.ops.logprobs import batched_count_greater_than
from vllm.v1.worker.gpu.sample import bad_words, logit_bias
from vllm.v1.worker.lora_model_runner_mixin import LoRAModelRunnerMixin
from zmq._future import _AsyncSocket

from engine.errors import InvalidRequestError
from engine.vllm.arguments import OF_VLLMS_SERVER
from engine.vllm.completions import ChatRequest
from engine.vllm.documentation import SWAGGER_UI
from engine.vllm.environment import MEDIA_CONNECTOR
from engine.vllm.media import Connector
from engine.vllm.sampling_room import MOST_TOKEN_IDS, check_room
from engine.vllm.shortcut import _has_more_than_text
from engine.vllm.tool_calls import BEGINNINGS
from profiles import parsers
from tests.support.answers import tokenizer


def parameters(function: object) -> set[str]:
    return set(inspect.signature(function).parameters)  # type: ignore[arg-type]  # any callable


def test_the_version_is_the_one_we_read() -> None:
    assert vllm.__version__ == "0.32.0"


def test_a_request_can_be_admitted_and_aborted_by_us() -> None:
    assert {"request_id", "prompt", "params", "lora_request"} <= parameters(AsyncLLM.add_request)
    assert {"request_id", "internal"} <= parameters(AsyncLLM.abort)
    assert inspect.iscoroutinefunction(AsyncLLM.add_request)


def test_generate_takes_what_serving_classes_pass_on() -> None:
    ours = {"prompt", "sampling_params", "request_id"}
    passed_on = parameters(AsyncLLM.generate) - ours - {"self"}
    assert passed_on <= parameters(AsyncLLM.add_request)
    ours = {"prompt", "pooling_params", "request_id"}
    passed_on = parameters(AsyncLLM.encode) - ours - {"self"}
    assert passed_on <= parameters(AsyncLLM.add_request)


def test_the_engine_on_a_gpu_has_room_for_what_is_admitted() -> None:
    assert MOST_TOKEN_IDS["allowed_token_ids"] == logit_bias.MAX_NUM_ALLOWED_TOKEN_IDS
    assert MOST_TOKEN_IDS["logit_bias"] == logit_bias.MAX_NUM_LOGIT_BIAS_TOKENS
    assert MOST_TOKEN_IDS["stop_token_ids"] + 16 == logit_bias.MAX_NUM_STOP_TOKEN_IDS
    source = inspect.getsource(bad_words)
    assert "max_total_tokens = envs.VLLM_MAX_BAD_WORDS_TOTAL_TOKENS" in source


def test_a_bias_for_more_tokens_than_there_is_room_for_is_refused_by_name() -> None:
    most = MOST_TOKEN_IDS["logit_bias"]
    check_room(SamplingParams(logit_bias=dict.fromkeys(range(most), 1.0)), None)
    with pytest.raises(InvalidRequestError, match="logit_bias has 1025 entries") as caught:
        check_room(SamplingParams(logit_bias=dict.fromkeys(range(most + 1), 1.0)), None)
    assert caught.value.param == "logit_bias"


def test_vllm_is_not_warned_of_fields_that_it_reads() -> None:
    messages = [{"role": "user", "content": "?"}]
    request = ChatRequest.model_validate({"messages": messages, "max_tokens": 7})
    assert request.max_tokens == 7
    assert ChatRequest.model_json_schema()["properties"]["max_tokens"]["deprecated"]


def test_prompts_are_tokenized_in_one_place() -> None:
    assert parameters(BaseRenderer._tokenize_prompt) == {"self", "prompt", "params"}
    source = inspect.getsource(BaseRenderer)
    assert source.count("self._tokenize_prompt(") == source.count("_tokenize_prompt_async(") == 1
    assert {"token_ids", "prompt"} <= parameters(BaseRenderer._build_tokens_prompt)
    assert {"prompt", "params"} <= parameters(BaseRenderer._wants_offsets)
    limited = TokenizeParams(max_total_tokens=7, add_special_tokens=False).get_encode_kwargs()
    assert limited == {"truncation": True, "max_length": 8, "add_special_tokens": False}


def test_ranks_are_counted_by_one_function() -> None:
    assert parameters(batched_count_greater_than) == {"x", "values"}
    source = inspect.getsource(sampler)
    assert source.count("token_ranks = batched_count_greater_than(") == source.count(
        "token_ranks = "
    )


def test_open_requests_can_be_answered_with_an_error() -> None:
    assert parameters(OutputProcessor.propagate_error) == {"self", "e"}
    assert {"get", "get_nowait", "put", "close"} <= set(dir(RequestOutputCollector))


def test_an_output_is_put_down_in_one_place_and_made_in_one() -> None:
    assert ".queue.put(request_output)" in inspect.getsource(OutputProcessor.process_outputs)
    made = "if request_output := req_state.make_request_output("
    assert made in inspect.getsource(OutputProcessor.process_outputs)
    names = list(inspect.signature(RequestState.make_request_output).parameters)
    assert names[:4] == ["self", "new_token_ids", "pooling_output", "finish_reason"]
    given = {"output_kind", "stream_interval", "logprobs_processor", "detokenizer"}
    assert given | {"parent_req"} <= parameters(RequestState)
    assert parameters(IncrementalDetokenizer.get_next_output_text) == {"self", "finished", "delta"}
    assert {"output_token_ids", "num_output_tokens"} <= set(dir(IncrementalDetokenizer))


def test_an_output_that_is_nothing_but_text_has_nothing_else() -> None:
    judged = set(re.findall(r"output\.(\w+)", inspect.getsource(_has_more_than_text)))
    only_at_the_end = {"stop_reason", "mm_cache_miss_hashes"}
    fields = set(EngineCoreOutput.__struct_fields__)
    assert fields - judged == {"request_id", "new_token_ids", "trace_headers"} | only_at_the_end
    given = ["self", "engine_core_outputs", "engine_core_timestamp", "iteration_stats"]
    taken = list(inspect.signature(OutputProcessor.process_outputs).parameters)
    assert taken == [*given, "weight_version"]
    assert inspect.getsource(AsyncLLM).count(".process_outputs(") == 1


def test_vllms_output_handler_does_what_ours_does() -> None:
    source = re.sub("#.*", "", inspect.getsource(AsyncLLM._run_output_handler))
    called = set(re.findall(r"([\w.\]\[]+)\(", source[source.index("while True") :]))
    assert called == {
        "engine_core.get_output_async", "len", "IterationStats", "range",
        "output_processor.process_outputs", "mm_processor_cache.invalidate", "asyncio.sleep",
        "engine_core.abort_requests_async", "output_processor.update_scheduler_stats",
        "logger_ref[0].record", "renderer.stat_mm_cache", "logger.exception",
        "output_processor.propagate_error", "asyncio.create_task", "output_handler",
    }  # fmt: skip
    waits = set(re.findall(r"await ([\w.]+)", inspect.getsource(AsyncMPClient.get_output_async)))
    assert waits == {"self.outputs_queue.get"}
    received = inspect.getsource(AsyncMPClient._ensure_output_queue_task)
    assert "resources.validate_alive(frames)" in received
    assert 'getattr(self.__class__, "process_engine_outputs", None)' in received


@pytest.mark.parametrize(
    "hook",
    [
        "create_streaming_error_response",
        "_convert_generation_error_to_streaming_response",
        "_base_request_id",
        "_get_active_default_mm_loras",
    ],
)
def test_the_hooks_we_override_exist(hook: str) -> None:
    assert callable(getattr(GenerateBaseServing, hook))


def test_the_hooks_for_responses_exist() -> None:
    responses = OpenAIServingResponses
    streamed = [*inspect.signature(responses.responses_stream_generator).parameters]
    assert streamed[:5] == ["self", "request", "sampling_params", "result_generator", "context"]
    created = inspect.getsource(responses._create_responses)
    assert "self._generate_with_builtin_tools(" in created
    assert "self.responses_stream_generator(" in created


def test_scores_are_made_in_steps_of_which_two_are_ours() -> None:
    assert {"io_processor", "ctx"} <= parameters(ServingScores._preprocessing)
    assert {"ctx"} <= parameters(ServingScores._build_response)
    wanted = {"data_1", "data_2", "encode_kwargs", "chat_template"}
    assert wanted <= parameters(CrossEncoderIOProcessor.get_score_prompt)


def test_adapters_are_looked_up_where_we_put_ours() -> None:
    source = inspect.getsource(GenerateBaseServing._maybe_get_adapters)
    assert "self.models.lora_requests[request.model]" in source
    assert "lora_request" in parameters(OpenAIServingModels.model_name)
    for call in (AsyncLLM.add_lora, AsyncLLM.remove_lora, AsyncLLM.list_loras):
        assert inspect.iscoroutinefunction(call)
    assert {"lora_name", "lora_int_id", "lora_path"} <= set(LoRARequest.__struct_fields__)


def test_the_engine_s_processes_work_in_loops_that_we_know() -> None:
    for process in (EngineCoreProc, DPEngineCoreProc):
        assert "run_busy_loop" in vars(process)
    assert "engine_core.run_busy_loop()" in inspect.getsource(EngineCoreProc.run_engine_core)
    assert "worker.worker_busy_loop()" in inspect.getsource(WorkerProc.worker_main)


def test_a_worker_tells_its_modules() -> None:
    assert {"name", "weights_mapper"} == parameters(parse_fine_tuned_lora_name)
    source = inspect.getsource(LoRAModelManager)
    for name in ("self.modules:", "self.packed_modules:", "self.is_pooling_model"):
        assert name in source
    assert "self._adapter_manager = " in inspect.getsource(LRUCacheWorkerLoRAManager)
    assert "self.lora_manager = " in inspect.getsource(LoRAModelRunnerMixin)


@pytest.mark.parametrize(
    ("hook", "expected"),
    [
        ("_decode_and_chunk_speech", {"self", "audio_data"}),
        ("_detect_language", {"self", "audio_chunk", "request_id"}),
        (
            "_get_verbose_segments",
            {"self", "tokens", "log_probs", "request", "segment_class", "start_time"},
        ),
    ],
)
def test_the_hooks_for_speech_exist(hook: str, expected: set[str]) -> None:
    assert parameters(getattr(SpeechToTextBaseServing, hook)) == expected


@pytest.mark.parametrize("hook", ["preprocess_chat", "adjust_harmony_request"])
def test_the_renderer_constrains_where_we_override_it(hook: str) -> None:
    assert "request" in parameters(getattr(OnlineRenderer, hook))
    assert "adjust_request" in inspect.getsource(getattr(OnlineRenderer, hook))


def test_media_are_loaded_by_a_connector_of_ours() -> None:
    assert issubclass(MEDIA_CONNECTOR_REGISTRY.name2class[MEDIA_CONNECTOR], Connector)
    # In all renderers: they ask the registry, and the connector asks itself for every URL.
    assert "MEDIA_CONNECTOR_REGISTRY.load" in inspect.getsource(chat_utils)
    assert inspect.getsource(chat_utils).count("envs.VLLM_MEDIA_CONNECTOR") == 2
    fetching = {name for name in dir(MediaConnector) if name.startswith("fetch_")}
    assert fetching == {
        f"fetch_{kind}{form}{suffix}"
        for kind in ("image", "audio", "video")
        for form in ("", "_embedding")
        for suffix in ("", "_async")
    }
    for name in fetching:
        source = inspect.getsource(getattr(MediaConnector, name))
        assert "self.load_from_url" in source or "load_base64" in source
    ours = parameters(Connector.load_from_url_async)
    assert parameters(MediaConnector.load_from_url_async) == ours
    assert parameters(MediaConnector.load_from_url) == ours


def test_nothing_is_loaded_where_no_request_was_admitted() -> None:
    connector = MEDIA_CONNECTOR_REGISTRY.load(MEDIA_CONNECTOR)
    image = "data:image/png;base64,AAAA"
    with pytest.raises(InvalidRequestError, match="takes no images"):
        asyncio.run(connector.fetch_image_async(image))
    for fetch in (connector.fetch_image, connector.fetch_audio, connector.fetch_video):
        with pytest.raises(InvalidRequestError, match="takes no images"):
            fetch(image)


def test_every_part_that_vllm_takes_for_media_is_known() -> None:
    known = {"image_url", "input_image", "image_pil", "audio_url", "input_audio", "video_url"}
    tensors = {"image_embeds", "audio_embeds", "video_embeds", "prompt_embeds"}
    assert (
        set(chat_utils.MM_PARSER_MAP) - chat_utils.TEXT_PART_TYPES - {"tool_reference"}
        == known | tensors
    )


def test_the_flags_we_refuse_are_flags_of_vllm() -> None:
    bare = FlexibleArgumentParser(add_help=False)  # type: ignore[no-untyped-call]  # vLLM's
    namespace = make_arg_parser(bare).parse_args([])
    assert vars(namespace).keys() >= OF_VLLMS_SERVER


RULES = {
    (kind, rule.parser): rule
    for kind, rules in (
        ("tool", parsers.TOOL_CALLS),
        ("reasoning", parsers.REASONING),
        ("reasoning", (parsers.OPENED_BY_ASKING, *parsers.OPEN_UNLESS_ASKED, *parsers.ALWAYS_OPEN)),
    )
    for rule in rules
}
# The words that OLMo's vocabulary has for "</think>".
OLMO = ("Ġ</", "</", "think", ">")


@pytest.mark.parametrize(("kind", "name"), RULES)
def test_a_parser_that_is_chosen_exists_and_starts_with_the_tokens_it_is_chosen_for(
    kind: str, name: str
) -> None:
    tokens = tokenizer((*RULES[kind, name].tokens, *(OLMO if name == "olmo3" else ())))
    names: dict[str, Any] = {f"{kind}_parser_name": name}
    made = ParserManager.get_parser(**names, enable_auto_tools=True, tokenizer=tokens)
    assert made is not None


def test_parsers_for_models_without_a_template_exist() -> None:
    for found in parsers.ENCODED.values():
        assert found.tool_calls in ToolParserManager.list_registered()
        assert found.reasoning in ReasoningParserManager.list_registered()


@pytest.mark.parametrize("name", BEGINNINGS)
def test_what_is_put_right_is_a_parser_of_vllms(name: str) -> None:
    parser = ToolParserManager.get_tool_parser(name)
    assert parameters(parser.extract_tool_calls) == {"self", "model_output", "request"}


def test_what_a_stream_is_put_right_by_is_there() -> None:
    assert issubclass(Hermes2ProToolParser, ToolParser)
    assert "_sent_content_idx" in inspect.getsource(Hermes2ProToolParser)
    for hook in (
        "extract_reasoning",
        "extract_reasoning_streaming",
        "set_prompt_token_ids",
        "is_reasoning_end",
        "_append_unstreamed_tool_args",
        "_flush_engine_parsers",
        "_in_reasoning_phase",
    ):
        assert callable(getattr(DelegatingParser, hook))


def test_messages_to_the_engine_core_go_through_one_method() -> None:
    source = inspect.getsource(AsyncMPClient)
    assert source.count("input_socket.send_multipart(") == 1
    assert source.count("output_socket.recv_multipart(copy=False)") == 1
    assert "recv_multipart" not in source.replace("output_socket.recv_multipart(copy=False)", "")
    assert parameters(AsyncMPClient._send_input_message) == {"self", "message", "engine"}
    assert "self.ensure_alive()" in inspect.getsource(AsyncMPClient._send_input_message)
    futures = inspect.getsource(_AsyncSocket)
    for name in ("_shadow_sock", "_send_futures", "_recv_futures"):
        assert f"self.{name}" in futures
    assert "# schedule wake for recv if there are any receivers waiting" in futures


def test_the_page_for_the_document_is_in_the_package() -> None:
    assert {"swagger-ui-bundle.js", "swagger-ui.css"} <= {
        file.name for file in SWAGGER_UI.iterdir()
    }


def test_the_fork_server_is_where_vllm_asks_for_processes_and_holds_nothing_else() -> None:
    # In a process of its own, since what is replaced there stays replaced.
    script = (
        "import threading, torch, engine.vllm.preloaded;"
        "from vllm.v1.engine import utils; from vllm.v1.executor import multiproc_executor;"
        "print({m.get_mp_context().get_start_method() for m in (utils, multiproc_executor)},"
        " threading.active_count(), torch.cuda.is_initialized())"
    )
    result = subprocess.run(  # noqa: S603  # ours
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True
    )
    assert result.stdout.splitlines()[-1] == "{'forkserver'} 1 False"
