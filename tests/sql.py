"""What SQL is made of, by the sources: of what stands in them, or of something that could have come from outside.

Made of the sources are literals, upper-case names of a module's top level and what is looked up in or looped over from
them, numbers written as such (`:d`, `listed()`), local names and parameters of private functions that are only these.
"""

import ast
from collections.abc import Iterator, Sequence
from typing import NamedTuple

STATEMENTS = frozenset({"execute", "executemany", "executescript"})
"""Of a connection, wherever it is."""
OF_TRANSACTIONS = frozenset({"one", "all", "run", "insert", "insert_all"})
NUMBERS = frozenset({"listed", "len"})
"""Functions that make nothing but numbers."""


class Doubt(NamedTuple):
    """A part of a statement of which the source does not show where it comes from."""

    function: str
    expression: str


def doubts(source: str) -> list[Doubt]:
    """All of a module."""
    tree = ast.parse(source)
    top = {name for statement in tree.body for name in _bound_at_top(statement)}
    readings = [_Reading(name, node, top) for name, node in _outermost(tree)]
    for reading in readings:
        reading.others = readings
    return [Doubt(reading.name, ast.unparse(part)) for reading in readings for part in reading.doubtful()]


def _bound_at_top(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, ast.ImportFrom | ast.Import):
        yield from (alias.asname or alias.name for alias in statement.names)
    elif isinstance(statement, ast.Assign | ast.AnnAssign):
        yield from (node.id for node in ast.walk(statement) if isinstance(node, ast.Name))


def _outermost(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """The functions of a module and of its classes, each with all that is inside it; and what is in neither."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield from ((f"{node.name}.{getattr(inner, 'name', '')}".rstrip("."), inner) for inner in node.body)
        else:
            yield getattr(node, "name", ""), node


def _is_constant(name: str) -> bool:
    return name == name.upper() and name.strip("_").isidentifier()


class _Reading:
    """Of one function."""

    def __init__(self, name: str, function: ast.AST, top: set[str]) -> None:
        self.name = name
        self.others: list[_Reading] = []
        """Of the whole module."""
        self._function = function
        self._top = top
        self._bindings: dict[str, list[ast.expr | None]] = {}
        """What each local name is bound to; None: the source does not show it."""
        self._aliases: set[str] = set()
        """Local names for a connection's methods."""
        self._given: set[int] = set()
        """The places where those are given these names."""
        for node in ast.walk(function):
            self._note(node)

    def doubtful(self) -> Iterator[ast.expr]:
        named = {id(node.func) for node in ast.walk(self._function) if isinstance(node, ast.Call)}
        for node in ast.walk(self._function):
            if isinstance(node, ast.Call) and self._takes_sql(node.func):
                given = node.args[0] if node.args and not isinstance(node.args[0], ast.Starred) else node
                yield from self._unproved(given, frozenset())
            elif isinstance(node, ast.Attribute) and node.attr in STATEMENTS and id(node) not in named | self._given:
                yield node  # handed on to something that this does not follow

    def _passed(self, parameter: str) -> list[tuple["_Reading", ast.expr]]:
        """What a function that no other module calls is given for a parameter, by all that call it; empty if one of
        them does not show it.
        """
        short = self.name.rpartition(".")[2]
        match self._function:
            case ast.FunctionDef(args=ast.arguments(args=names, defaults=defaults)) if short.startswith("_"):
                own = [name.arg for name in names if name.arg != "self"]
            case _:
                return []
        values = dict(zip(reversed(own), reversed(defaults), strict=False))
        found: list[tuple[_Reading, ast.expr]] = []
        for reading in self.others:
            for call in ast.walk(reading._function):  # noqa: SLF001 - another of it
                if isinstance(call, ast.Call) and ast.unparse(call.func).rpartition(".")[2] == short:
                    given = dict(zip(own, call.args, strict=False)) | {
                        keyword.arg: keyword.value for keyword in call.keywords if keyword.arg
                    }
                    value = given.get(parameter, values.get(parameter))
                    if value is None:
                        return []
                    found.append((reading, value))
        return found

    def _takes_sql(self, function: ast.expr) -> bool:
        match function:
            case ast.Attribute(attr=name) if name in STATEMENTS:
                return True
            case ast.Attribute(value=ast.Name(id=owner) | ast.Attribute(attr=owner), attr=name):
                return name in OF_TRANSACTIONS and owner.strip("_") == "tx"
            case ast.Name(id=name):
                return name in self._aliases
        return False

    def _note(self, node: ast.AST) -> None:
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._bind(target, value)
            case ast.AnnAssign(target=target, value=bound) | ast.NamedExpr(target=target, value=bound):
                self._bind(target, bound)
            case ast.AugAssign(target=target, value=value):
                self._bind(target, value)
            case ast.For(target=target, iter=over) | ast.comprehension(target=target, iter=over):
                self._bind(target, over)
            case ast.arg(arg=name):
                self._bindings.setdefault(name, []).append(None)
            case ast.withitem(optional_vars=ast.expr() as target):
                self._bind(target, None)

    def _bind(self, target: ast.expr, value: ast.expr | None) -> None:
        if isinstance(target, ast.Tuple | ast.List):
            same_form = isinstance(value, ast.Tuple) and len(value.elts) == len(target.elts)
            for number, part in enumerate(target.elts):
                self._bind(part, value.elts[number] if same_form and isinstance(value, ast.Tuple) else value)
        elif isinstance(target, ast.Name):
            if isinstance(value, ast.Attribute) and value.attr in STATEMENTS:
                self._aliases.add(target.id)
                self._given.add(id(value))
            self._bindings.setdefault(target.id, []).append(value)

    def _unproved(self, part: ast.expr, seen: frozenset[str]) -> Iterator[ast.expr]:
        """The parts of an expression of which it is not shown where they come from."""
        if isinstance(part, ast.Name):
            yield from self._unproved_name(part, seen)
            return
        inner = _parts(part)
        if inner is None:
            yield part
        for value in inner or ():
            yield from self._unproved(value, seen)

    def _unproved_name(self, name: ast.Name, seen: frozenset[str]) -> Iterator[ast.expr]:
        place, bound = f"{self.name}({name.id})", self._bindings.get(name.id)
        if place in seen or (bound is None and name.id in self._top and _is_constant(name.id)):
            return
        passed = self._passed(name.id) if bound == [None] else [(self, value) for value in bound or () if value]
        if not passed or len(passed) < len(bound or ()):
            yield name
            return
        for reading, value in passed:
            yield from reading._unproved(value, seen | {place})  # noqa: SLF001 - another of it


def _parts(part: ast.expr) -> Sequence[ast.expr] | None:
    """What has to be shown of an expression's parts, so that it is shown of the whole; None: nothing would show it."""
    match part:
        case ast.Constant() | ast.FormattedValue(format_spec=ast.JoinedStr(values=[ast.Constant(value="d")])):
            return ()
        case ast.Call(func=ast.Name(id=name)) if name in NUMBERS:
            return ()
        case ast.JoinedStr(values=parts) | ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
            return parts
        case ast.BinOp(left=one, op=ast.Add() | ast.Mult(), right=other) | ast.IfExp(body=one, orelse=other):
            return one, other
        case (
            ast.FormattedValue(value=inner)
            | ast.Starred(value=inner)
            | ast.GeneratorExp(elt=inner)
            | ast.ListComp(elt=inner)
            | ast.Subscript(value=inner)
            | ast.Call(func=ast.Attribute(value=inner, attr="items" | "keys" | "values" | "get"))
            | ast.Call(func=ast.Attribute(value=ast.Constant(), attr="join"), args=[inner])
        ):
            return (inner,)
    return None
