"""The settings: flags over environment over defaults, all checked at once. Nothing else reads the environment."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar, get_args

import platformdirs

from owlmetry_mcp.issues import parameters
from owlmetry_mcp.issues.errors import InvalidInputError

BackendName = Literal["store"]
LogLevel = Literal["debug", "info", "warning", "error", "critical"]

Value = TypeVar("Value")

MAX_AGENT_NAME_LENGTH = 100


class SettingsError(Exception):
    """Settings that cannot be used: every one of them, a line each."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Settings:
    backend: BackendName
    store: Path
    api_key: str | None = field(repr=False)
    project_id: str | None
    agent_name: str | None
    log_level: LogLevel


def default_store() -> Path:
    return platformdirs.user_data_path("owlmetry-mcp", appauthor=False) / "store.db"


def load(flags: Mapping[str, str | None], environment: Mapping[str, str]) -> Settings:
    """The settings by their names (`store`, …), each from its flag, else from `OWLMETRY_…`, else its default.

    An empty variable counts as unset; an empty flag is an error.

    Raises:
        SettingsError: some cannot be used.
    """
    faults: list[str] = []

    def setting(name: str, check: Callable[[str], Value], default: Value) -> Value:
        variable = f"OWLMETRY_{name.upper()}"
        flag = flags.get(name)
        value = environment.get(variable, "").strip() if flag is None else flag
        if flag is None and not value:
            return default
        try:
            return check(value)
        except InvalidInputError as error:
            source = variable if flag is None else f"--{name.replace('_', '-')}"
            faults.append(f"{source}: {error}")
            return default

    settings = Settings(
        backend=setting("backend", lambda value: parameters.one_of("it", value, get_args(BackendName)), "store"),
        store=setting("store", _path, default_store()),
        api_key=setting("api_key", _credential, None),
        project_id=setting("project_id", lambda value: parameters.uuid("it", value), None),
        agent_name=setting("agent_name", _name, None),
        log_level=setting(
            "log_level", lambda value: parameters.one_of("it", value.lower(), get_args(LogLevel)), "warning"
        ),
    )
    if faults:
        raise SettingsError(faults)
    return settings


def _path(value: str) -> Path:
    if not value or "\0" in value:
        raise InvalidInputError("it must be the path of a file")
    try:
        return Path(value).expanduser()
    except RuntimeError as error:
        raise InvalidInputError("there is no such home directory") from error


def _credential(value: str) -> str:
    """Checked for its form alone, and never quoted."""
    if not value.isascii() or not value.isprintable() or " " in value:
        raise InvalidInputError("it must be an agent key (owl_agent_…) or a user's token, on one line without blanks")
    return value


def _name(value: str) -> str:
    if not 0 < len(value) <= MAX_AGENT_NAME_LENGTH or not value.isprintable():
        raise InvalidInputError(f"it must be 1 to {MAX_AGENT_NAME_LENGTH} printable characters")
    return value
