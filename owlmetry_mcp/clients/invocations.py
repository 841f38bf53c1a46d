"""What a command of a client's entry would run: whether it is surely ours, and with which arguments."""

import re
from collections.abc import Sequence
from pathlib import PurePath, PureWindowsPath

_SCRIPT = re.compile(r"owlmetry[-_]mcp", re.IGNORECASE)
_PYTHON = re.compile(r"pythonw?[\d.]*|py", re.IGNORECASE)
_REQUIREMENT = re.compile(r"owlmetry[-_]mcp(\[\w+\])?([@=<>~!].*)?", re.IGNORECASE)
_RUNNERS = {
    ("uvx",): ("--from", "--python", "-p"),
    ("uv", "tool", "run"): ("--from", "--python", "-p"),
    ("pipx", "run"): ("--spec", "--python"),
}
"""What fetches a package and runs a command of it, with the flags before that command that take a value."""


def arguments_of_ours(words: Sequence[str]) -> Sequence[str] | None:
    """The arguments that owlmetry-mcp is started with; None where it is not, or not surely, it that is started."""
    if not words:
        return None
    program = PureWindowsPath(PurePath(words[0]).name).name.removesuffix(".exe")
    if _SCRIPT.fullmatch(program):
        return words[1:]
    if _PYTHON.fullmatch(program) and [*words[1:3]] == ["-m", "owlmetry_mcp"]:
        return words[3:]
    for runner, flags in _RUNNERS.items():
        if (program, *words[1 : len(runner)]) == runner:
            return _run(words[len(runner) :], flags)
    return None


def fetches(words: Sequence[str]) -> bool:
    """Whether it may have to load the package from the network first."""
    return PurePath(words[0]).name.removesuffix(".exe") in {runner[0] for runner in _RUNNERS}


def _run(words: Sequence[str], flags: Sequence[str]) -> Sequence[str] | None:
    """As `arguments_of_ours`, of what follows a runner. Wherever it is fetched from, it is to bear our name."""
    rest = [*words]
    while rest and rest[0].startswith("-"):
        flag, equals, _ = rest.pop(0).partition("=")
        if flag not in flags or not (equals or rest):
            return None
        if not equals:
            rest.pop(0)
    if not rest or not _REQUIREMENT.fullmatch(rest[0]):
        return None
    return rest[1:]
