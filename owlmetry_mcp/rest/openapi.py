"""The API's description in OpenAPI 3.1, made of the routes, the models of their answers and what `description` adds."""

import ast
import inspect
import re
from collections.abc import Iterable
from functools import cache

from pydantic.json_schema import GenerateJsonSchema, models_json_schema
from pydantic_core import to_json
from starlette.routing import Route

from owlmetry_mcp import __version__
from owlmetry_mcp.issues import models
from owlmetry_mcp.rest.description import OPERATIONS, OWN_SCHEMAS, UUID, Operation, Parameter, Schema
from owlmetry_mcp.rest.operations import ROUTES

_RESOURCES = [
    model
    for model in vars(models).values()
    if inspect.isclass(model) and issubclass(model, models.Resource) and model not in (models.Resource, models.App)
]
"""All but what no answer holds."""

_ABOUT = """Issues that are detected in the errors of apps: list, read, move, merge and comment on them.

- Credentials go into `Authorization: Bearer …`. What stands behind a security scheme's name is the permission that a
  key needs. Of another team's projects nothing is told, as if there were none.
- Instants are UTC, ISO 8601, with milliseconds and `Z`. Ids are UUIDs, in answers in lower case.
- Errors are `{"error": "…"}`. A path that is none of these is answered 404, a method that a path does not have 405,
  with `Allow`. `HEAD` goes where `GET` does.
- Parameters and fields that are not described are passed over.
"""

_SECURITY_SCHEMES: Schema = {
    "agentKey": {"type": "http", "scheme": "bearer", "description": "An agent's API key, `owl_agent_…`"},
    "userToken": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A user's token, who may do anything in the user's teams",
    },
    "clientKey": {"type": "http", "scheme": "bearer", "description": "The API key of an app's SDK, `owl_client_…`"},
    "importKey": {"type": "http", "scheme": "bearer", "description": "An API key for history, `owl_import_…`"},
}

_REFUSALS = {
    400: "The request cannot be taken: a parameter, the body, a move that there is not, or a `Host` that is not this"
    " server's. Nothing was changed.",
    401: "No credential, a wrong one, or one that is no longer valid",
    403: "The credential may not do this",
    404: "Not there, or nothing that this caller may see",
    408: "The body came too slowly",
    413: "The body is too large, as it came or unpacked",
    415: "The body's `Content-Encoding` is neither gzip nor identity",
    500: "The store cannot be used, or something was not foreseen; the server's log has more",
    503: "The store is busy; nothing was changed",
}
_HEADERS = {
    401: {"WWW-Authenticate": {"schema": {"const": "Bearer"}}},
    503: {"Retry-After": {"description": "Seconds", "schema": {"type": "string", "pattern": "^[0-9]+$"}}},
}


class _Plain(GenerateJsonSchema):
    """Without titles that say the field's name again."""

    def field_title_should_be_set(self, _: object) -> bool:
        return False


@cache
def document() -> bytes:
    """The description of all routes, as JSON."""
    paths: dict[str, Schema] = {}
    for route in ROUTES:
        (method,) = (route.methods or set()) - {"HEAD"}
        paths.setdefault(route.path, {})[method.lower()] = _operation(route, OPERATIONS[route.endpoint])
    return to_json(
        {
            "openapi": "3.1.0",
            "info": {"title": "Issues", "version": __version__, "description": _ABOUT},
            "servers": [{"url": "/"}],
            "paths": paths,
            "components": {
                "schemas": {**_schemas(), **OWN_SCHEMAS},
                "responses": {_name(status): _refusal(status) for status in _REFUSALS},
                "securitySchemes": _SECURITY_SCHEMES,
            },
        }
    )


def _operation(route: Route, operation: Operation) -> Schema:
    text = f"{operation.text}\n\nA key needs `{operation.permission}`." if operation.permission else operation.text
    described: Schema = {
        "operationId": route.endpoint.__name__,
        "summary": operation.summary,
        "description": text.strip(),
        "parameters": [*_of_path(route), *map(_of_query, operation.query)],
        "security": [_requirement(scheme, operation.permission) for scheme in operation.callers],
        "responses": {
            str(operation.status): {"description": "Done", "content": _json(operation.answer)},
            **{str(status): {"$ref": f"#/components/responses/{_name(status)}"} for status in _refused(route)},
        },
    }
    if operation.body is not None:
        described["requestBody"] = {
            "description": operation.body_text,
            "content": _json(operation.body),
            "required": True,
        }
    return described


def _refused(route: Route) -> Iterable[int]:
    """What the operation may be answered beside its result."""
    operation = OPERATIONS[route.endpoint]
    yield 400
    if operation.callers:
        yield from (401, 500, 503)
    if operation.permission:
        yield 403
    if route.param_convertors:
        yield 404
    if operation.body is not None:
        yield from (408, 413, 415)


def _requirement(scheme: str, permission: str | None) -> dict[str, list[str]]:
    return {scheme: [permission] if permission and scheme != "userToken" else []}


def _of_path(route: Route) -> list[Schema]:
    return [{"name": name, "in": "path", "required": True, "schema": UUID} for name in route.param_convertors]


def _of_query(parameter: Parameter) -> Schema:
    described: Schema = {
        "name": parameter.name,
        "in": "query",
        "description": parameter.text,
        "required": parameter.required,
        "schema": parameter.schema,
    }
    return described | ({"explode": False} if parameter.schema["type"] == "array" else {})


def _refusal(status: int) -> Schema:
    described: Schema = {"description": _REFUSALS[status], "content": _json({"$ref": "#/components/schemas/Error"})}
    return described | ({"headers": _HEADERS[status]} if status in _HEADERS else {})


def _name(status: int) -> str:
    return f"Error{status}"


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _schemas() -> dict[str, Schema]:
    """The models' schemas, with what their attributes' docstrings say."""
    _, generated = models_json_schema(
        [(model, "validation") for model in _RESOURCES],
        ref_template="#/components/schemas/{model}",
        schema_generator=_Plain,
    )
    schemas: dict[str, Schema] = generated["$defs"]
    texts = _attribute_docstrings()
    for model in _RESOURCES:
        schema = schemas[model.__name__]
        if not model.__doc__ or model.__doc__ == models.Resource.__doc__:
            schema.pop("description", None)
        for name, field in schema["properties"].items():
            text = next((texts[base.__name__, name] for base in model.__mro__ if (base.__name__, name) in texts), None)
            if text:
                field["description"] = text
    return schemas


def _attribute_docstrings() -> dict[tuple[str, str], str]:
    """By class and attribute: the string that stands below it."""
    found = {}
    for node in ast.parse(inspect.getsource(models)).body:
        if isinstance(node, ast.ClassDef):
            for above, below in zip(node.body, node.body[1:], strict=False):
                match above, below:
                    case (
                        ast.AnnAssign(target=ast.Name(id=name)),
                        ast.Expr(value=ast.Constant(value=str() as text)),
                    ):
                        found[node.name, name] = re.sub(r"\s+", " ", text)
    return found
