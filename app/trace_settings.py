"""The settings for traces; a part of `app.settings.Settings`.

What else OpenTelemetry knows (samplers, headers, certificates, batches) it reads from its own
variables: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from typing import Self

from pydantic import BaseModel, model_validator

from app.setting import setting

_EXPORTERS = ("otlp", "console", "none")
_PROTOCOLS = ("http/protobuf", "grpc")


class TraceSettings(BaseModel):
    """Whether there are traces, and where they go; checked only where there are any."""

    enable_otel: bool = setting(
        False, "NIM_ENABLE_OTEL",
        description="Send a trace of each request by OpenTelemetry, whose other `OTEL_*` "
        "variables count, too.",
    )  # fmt: skip
    otel_service_name: str = setting(
        "unigate", "OTEL_SERVICE_NAME", "NIM_OTEL_SERVICE_NAME",
        description="What traces call the server.",
    )  # fmt: skip
    otel_traces_exporter: str = setting(
        "otlp", "OTEL_TRACES_EXPORTER", "NIM_OTEL_TRACES_EXPORTER",
        description="How traces leave: `otlp`, `console` or `none`.",
    )  # fmt: skip
    otel_protocol: str = setting(
        "http/protobuf", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL",
        description="What the collector speaks: `http/protobuf` or `grpc`.",
    )  # fmt: skip
    otel_endpoint: str | None = setting(
        None, "OTEL_EXPORTER_OTLP_ENDPOINT", "NIM_OTEL_EXPORTER_OTLP_ENDPOINT",
        description="The collector's URL; OpenTelemetry's default is this machine.",
    )  # fmt: skip
    otel_traces_endpoint: str | None = setting(
        None, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        description="The whole URL for traces, where it is another one.",
    )  # fmt: skip

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.enable_otel:
            _require("OTEL_TRACES_EXPORTER", self.otel_traces_exporter, _EXPORTERS)
            _require("OTEL_EXPORTER_OTLP_PROTOCOL", self.otel_protocol, _PROTOCOLS)
        return self


def _require(variable: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{variable} is {value!r}; it may be {', '.join(known)}")
