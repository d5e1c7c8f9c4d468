"""Engine arguments: vLLM's own parser, so that every flag works, and what it must not decide."""

import argparse
import contextlib
import io

from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
from vllm.entrypoints.launchers.launcher import validate_api_server_args
from vllm.reasoning import ReasoningParserManager
from vllm.tool_parsers import ToolParserManager
from vllm.utils.argparse_utils import FlexibleArgumentParser

from engine.config import EngineConfig
from engine.errors import EngineArgumentsError
from engine.vllm.adapter_modules import EXTENSION

# Flags of vLLM's own HTTP server, which is not running here. Accepting them would pretend that they
# work, and for keys or TLS that is a security hole.
OF_VLLMS_SERVER = {
    "headless", "api_server_count", "grpc", "grpc_port", "uds", "api_key",
    "ssl_keyfile", "ssl_certfile", "ssl_ca_certs", "enable_ssl_refresh", "ssl_cert_reqs",
    "ssl_ciphers", "root_path", "middleware", "allow_credentials", "allowed_origins",
    "allowed_methods", "allowed_headers", "uvicorn_log_level", "disable_uvicorn_access_log",
    "disable_access_log_for_endpoints", "disable_fastapi_docs", "enable_request_id_headers",
    "enable_offline_docs", "h11_max_incomplete_event_size", "h11_max_header_count",
    "enable_server_load_tracking", "enable_tokenizer_info_endpoint", "tokens_only",
    "enable_scale_out", "sse_keep_alive_interval", "tool_server", "config", "lora_modules",
    "enable_log_outputs", "max_log_len",
}  # fmt: skip


_INSTEAD = {"middleware": "NIM_MIDDLEWARE_CONFIG_PATH names a file with middleware of your own"}


class _RefusedError(Exception):
    """argparse's message, instead of its exit."""


def parse(config: EngineConfig) -> argparse.Namespace:
    """Parse the arguments the way `vllm serve` does.

    Raises:
        EngineArgumentsError: with the parser's own sentence.
    """
    bare = FlexibleArgumentParser(  # type: ignore[no-untyped-call]  # vLLM's, untyped
        prog="unigate serve", add_help=False
    )
    parser = make_arg_parser(bare)
    tokens = [*config.arguments, "--model", config.model]
    tokens += ["--served-model-name", *config.served_names]
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            namespace: argparse.Namespace = parser.parse_args(tokens)
        _refuse_server_flags(parser, namespace)
        validate_parsed_serve_args(namespace)
        if namespace.tool_parser_plugin:
            ToolParserManager.import_tool_parser(namespace.tool_parser_plugin)
        if getattr(namespace, "reasoning_parser_plugin", ""):
            ReasoningParserManager.import_reasoning_parser(namespace.reasoning_parser_plugin)
        validate_api_server_args(namespace)  # type: ignore[no-untyped-call]  # vLLM's, untyped
    except SystemExit:
        sentence = complaint.getvalue().strip().rpartition("error: ")[2]
        raise EngineArgumentsError(sentence or "vLLM refuses the engine arguments") from None
    except (KeyError, TypeError, ValueError, _RefusedError) as error:
        raise EngineArgumentsError(str(error.args[0] if error.args else error)) from error
    return namespace


def engine_arguments(namespace: argparse.Namespace) -> AsyncEngineArgs:
    """The part of the arguments that configures the engine."""
    arguments: AsyncEngineArgs = AsyncEngineArgs.from_cli_args(namespace)
    if arguments.enable_lora and not arguments.worker_extension_cls:
        arguments.worker_extension_cls = EXTENSION
    return arguments


def _refuse_server_flags(parser: FlexibleArgumentParser, namespace: argparse.Namespace) -> None:
    if namespace.model_tag is not None:
        raise _RefusedError(
            f"{namespace.model_tag!r} is not a flag; a model stands right behind `serve`",
        )
    if namespace.allowed_local_media_path:
        raise _RefusedError(
            "--allowed-local-media-path: requests are never given files of this machine",
        )
    for name in sorted(OF_VLLMS_SERVER & vars(namespace).keys()):
        if getattr(namespace, name) != parser.get_default(name):
            flag = "--" + name.replace("_", "-")
            raise _RefusedError(
                f"{flag} is an argument of vLLM's own HTTP server, which unigate replaces; "
                + _INSTEAD.get(name, "README.md has unigate's settings"),
            )
