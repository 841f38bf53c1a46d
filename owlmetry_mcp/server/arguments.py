"""A tool's arguments: the schema that says what it takes, and in plain words what was wrong with a call."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

from mcp.server.mcpserver.tools import Tool
from pydantic import BeforeValidator, Field, ValidationError

from owlmetry_mcp.issues.parameters import shown

Schema = dict[str, Any]

MAX_BATCH = 50
"""Issues that one call changes."""

_PROSE = ("body", "comment")  # where "null" is a word
_MOST_NAMED = 5


def no_flag(value: object) -> object:
    """Not true or false, which pydantic takes for 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("a flag is no number")  # noqa: TRY004 - what pydantic makes a fault of
    return value


def one_or_more(value: object) -> object:
    """A single id as a list of one, as models like to give it."""
    return [value] if isinstance(value, str) else value


IssueId = str
EventId = str
ProjectId = Annotated[str | None, Field(description="Id, name or slug; needed only where the server cannot tell it")]
Ids = Annotated[list[str] | None, Field(min_length=1, max_length=MAX_BATCH), BeforeValidator(one_or_more)]
Body = Annotated[str, Field(description="Markdown")]
Cursor = Annotated[str | None, Field(description="From the page before")]
Count = Annotated[int, Field(ge=1), BeforeValidator(no_flag)]


def slimmed(schema: Schema) -> Schema:
    """The schema, refusing unknown arguments; without titles, and without null where leaving out says the same."""
    properties = {name: _slimmed(argument) for name, argument in schema["properties"].items()}
    slim = {"type": "object", "properties": properties, "additionalProperties": False}
    return slim | {"required": schema["required"]} if "required" in schema else slim


def _slimmed(argument: Schema) -> Schema:
    choices = [choice for choice in argument.get("anyOf", ()) if choice != {"type": "null"}]
    merged = argument | (choices[0] if choices else {})
    if items := merged.get("items"):
        merged |= {"items": _slimmed(items)}
    return {
        name: value
        for name, value in merged.items()
        if name not in ("title", "anyOf") and not (name == "default" and value is None)
    }


def refused(tool: Tool, arguments: Mapping[str, Any]) -> str:
    """What is wrong with arguments as they came, before the SDK reads JSON in them; empty where nothing is."""
    known: Mapping[str, Schema] = tool.parameters["properties"]
    strange = [name for name in arguments if name not in known]
    if not strange:
        # The SDK would read it as null, and so as left out: another question than the one that was asked.
        nulls = [name for name, value in arguments.items() if name not in _PROSE and value == "null"]
        return " ".join(f"{name} must be {_takes(known[name])}, not {shown('null')}; leave it out." for name in nulls)
    named = [f"Unknown argument {shown(name)}.{_nearest(name, known)}" for name in strange[:_MOST_NAMED]]
    if len(strange) > _MOST_NAMED:
        named.append(f"{len(strange) - _MOST_NAMED} more are unknown.")
    takes = f"{tool.name} takes {', '.join(known)}." if known else f"{tool.name} takes no arguments."
    return " ".join([*named, takes])


def own_words(arguments: Mapping[str, Any]) -> frozenset[str]:
    """The caller's own, as errors quote them."""
    values = [value for given in arguments.values() for value in (given if isinstance(given, list) else [given])]
    return frozenset(shown(word) for word in (*arguments, *values) if isinstance(word, str))


def unknown_tool(name: str, tools: Sequence[str]) -> str:
    return f"Unknown tool {shown(name)}.{_nearest(name, tools)} There are {', '.join(tools)}."


def _nearest(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - only where a name is wrong

    near = get_close_matches(name, known, n=1)
    return f" Did you mean {near[0]}?" if near else ""


def wrong_values(tool: Tool, error: ValidationError) -> str:
    """What is wrong with the arguments' values, each with what is allowed."""
    return " ".join(
        _wrong_value(tool.parameters["properties"], fault["loc"], fault["type"], fault["input"])
        for fault in error.errors(include_url=False, include_context=False)
    )


def _wrong_value(properties: Mapping[str, Schema], loc: Sequence[int | str], kind: str, value: object) -> str:
    name = str(loc[0])
    schema = properties[name]
    if kind == "missing":
        described = schema.get("description")
        return f"{name} is required{f' ({described})' if described else ''}; it takes {_takes(schema)}."
    return f"{name} must be {_takes(schema)}, not {shown(value)}."


def _takes(schema: Schema) -> str:
    if "enum" in schema:
        return f"one of {', '.join(schema['enum'])}"
    match schema["type"]:
        case "integer":
            return f"a whole number, {schema['minimum']} or more"
        case "boolean":
            return "true or false"
        case "array":
            return f"a list of {schema['minItems']} to {schema['maxItems']} ids"
        case _:
            return "text"
