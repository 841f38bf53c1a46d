"""The API's description, and answers held against it."""

import json
import re
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it comes without types

from owlmetry_mcp.rest import openapi

DOCUMENT: dict[str, Any] = json.loads(openapi.document())


def operation(method: str, path: str) -> dict[str, Any]:
    """What is said of the operation that a request goes to."""
    where, _, _ = path.partition("?")
    (found,) = (
        operations[method.lower()]
        for template, operations in DOCUMENT["paths"].items()
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), where)
    )
    described: dict[str, Any] = found
    return described


def assert_described(method: str, path: str, status: int, answer: Any) -> None:
    """The answer is one that the description has for this status."""
    response = operation(method, path)["responses"][str(status)]
    if "$ref" in response:
        response = DOCUMENT["components"]["responses"][response["$ref"].rpartition("/")[2]]
    schema = response["content"]["application/json"]["schema"]
    Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(answer)
