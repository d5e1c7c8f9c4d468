"""schemathesis: requests made from /openapi.json, and answers held against it.

The requests are the boundary values of everything that the document says (of many, every so many)
and random ones, the same in each run. The model is asked for a few tokens, whatever they say.
`positive_data_acceptance` is left out: JSON Schema cannot say which of vLLM's fields exclude each
other.
"""

import json
import os
from functools import cache

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.config import SchemathesisConfig
from schemathesis.generation.modes import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

URL = os.environ["URL"]
# Of an operation's boundary values, and at random.
MOST, RANDOM = 60, 12
LONGEST_S = 60
LENGTHS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
GENERATES = {
    "/v1/chat/completions": "max_tokens",
    "/v1/completions": "max_tokens",
    "/v1/responses": "max_output_tokens",
}
CONFIG = {"seed": 1, "phases": {"coverage": {"enabled": False}}}
DOCUMENT = schemathesis.openapi.from_url(
    f"{URL}/openapi.json", timeout=LONGEST_S, config=SchemathesisConfig.from_dict(CONFIG)
)
OPERATIONS = [found.ok() for found in DOCUMENT.get_all_operations()]


def is_integer(value):
    return isinstance(value, int) and not isinstance(value, bool)


@schemathesis.hook
def before_call(context, case, kwargs):
    """Bound the work that a request asks for; one that is wrong stays as wrong as it is.

    A valid one gets what JSON Schema cannot say that it needs, out of the document's example.
    """
    body = case.body
    if isinstance(body, dict):
        if case.meta.generation.mode.is_positive:
            complete(body, asked(case.path, case.method).get("example", {}))
        bound(body, GENERATES.get(case.path))


def complete(body, example):
    for field, value in example.items():
        if body.get(field) is None or field == "model":
            body[field] = value


def bound(body, length):
    for field in LENGTHS:
        if is_integer(body.get(field)):
            body[field] = min(body[field], 4)
    if is_integer(body.get("n")) and body["n"] <= 128:
        body["n"] = min(body["n"], 2)
    if length and all(body.get(field) is None for field in LENGTHS):
        body[length] = 4


@schemathesis.check
def errors_are_in_their_envelope(ctx, response, case):
    """Also where the document has nothing to say: of a method that a route does not answer."""
    if response.status_code < 400:
        return
    body = json.loads(response.content)
    ids = response.headers["x-request-id"]
    assert len(ids) == 1
    if case.path.startswith("/v1/messages"):
        assert set(body) == {"type", "error", "request_id"}
        assert set(body["error"]) == {"type", "message", "code"}
        assert [body["request_id"]] == ids == response.headers["request-id"]
    else:
        assert set(body) == {"error"}
        assert set(body["error"]) == {"message", "type", "param", "code"}


@schemathesis.check
def what_breaks_the_schema_is_refused(ctx, response, case):
    """Except where vLLM's models mean to read it, or do not look.

    They read numbers, booleans and text in each other's spelling, and the parts of messages only
    when they use them.
    """
    if response.status_code == 200 and can_be_read(case):
        return
    negative_data_rejection(ctx, response, case)


def can_be_read(case):
    return isinstance(case.body, dict) and reader(case.path, case.method).is_valid(case.body)


@cache
def reader(path, method):
    schema = asked(path, method)["schema"]
    components = DOCUMENT.raw_schema["components"]
    return jsonschema_rs.validator_for(lenient({"allOf": [schema], "components": components}))


def lenient(schema):
    if isinstance(schema, list):
        return [lenient(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    eased = {name: lenient(item) for name, item in schema.items()}
    if eased.get("type") in ("integer", "number", "boolean"):
        eased["type"] = ["integer", "number", "boolean", "string"]
    for messages in {"messages", "input"} & eased.keys():
        eased[messages] = {"type": ["array", "string"]}
    return eased


@cache
def asked(path, method):
    """What the document says about the body."""
    operation = DOCUMENT.raw_schema["paths"][path][method.lower()]
    return operation.get("requestBody", {}).get("content", {}).get("application/json", {})


def check(case):
    case.call_and_validate(
        timeout=LONGEST_S,
        excluded_checks=[positive_data_acceptance, negative_data_rejection],
    )


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_boundary_values(operation):
    cases = list(
        DOCUMENT.iter_coverage_cases(
            operation=operation,
            generation_modes=list(GenerationMode),
            generation_config=DOCUMENT.config.generation,
        )
    )
    assert cases
    for case in cases[:: len(cases) // MOST + 1]:
        check(case)


@DOCUMENT.parametrize()
@settings(
    phases=[Phase.explicit, Phase.generate],
    max_examples=RANDOM,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_random_values(case):
    check(case)
