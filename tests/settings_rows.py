"""What there is to set, as the settings' own text and the parser say it."""

import ast
import inspect
from argparse import Action
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from owlmetry_mcp import settings
from owlmetry_mcp.cli.parser import parser
from owlmetry_mcp.settings import Settings


@dataclass(frozen=True)
class Row:
    name: str
    """Of the field, such as `read_only`."""
    meaning: str
    """In Markdown, on one line."""
    type: Any
    """As annotated, without the None."""
    flag: Action | None

    @property
    def variable(self) -> str:
        return f"OWLMETRY_{self.name.upper()}"

    @property
    def is_secret(self) -> bool:
        """As the settings have it: what is in no `repr`."""
        return not Settings.__dataclass_fields__[self.name].repr

    @property
    def choices(self) -> tuple[str, ...]:
        return get_args(self.type) if get_origin(self.type) is Literal else ()

    @property
    def is_path(self) -> bool:
        return self.type is Path


def rows() -> list[Row]:
    """In the order of the settings."""
    meanings = _docstrings()
    types = get_type_hints(Settings)
    flags = {action.dest: action for action in parser()._actions if action.option_strings}  # noqa: SLF001 - argparse shows them to no one
    return [
        Row(name, meanings[name], _without_none(types[name]), flags.get(name)) for name in Settings.__dataclass_fields__
    ]


def _docstrings() -> dict[str, str]:
    """What stands below each field of the settings."""
    (tree,) = ast.parse(inspect.getsource(settings.Settings)).body
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for field, below in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            assert isinstance(below, ast.Expr), f"{field.target.id} has no docstring"
            found[field.target.id] = " ".join(ast.literal_eval(below.value).split())
    return found


def _without_none(annotated: Any) -> Any:
    kinds = [kind for kind in get_args(annotated) if kind is not NoneType]
    return kinds[0] if NoneType in get_args(annotated) else annotated
