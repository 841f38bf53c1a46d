"""The settings: flags over environment over files over defaults, all checked at once. Nothing else reads either."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar, get_args
from urllib.parse import urlsplit

from pydantic_core import from_json

from owlmetry_mcp.issues import parameters
from owlmetry_mcp.issues.errors import InvalidInputError

BackendName = Literal["store", "live"]
LogLevel = Literal["debug", "info", "warning", "error", "critical"]
Confirm = Literal["auto", "always", "never"]
SourceKind = Literal["flag", "environment", "config file", "default"]

Value = TypeVar("Value")

DEFAULT_ENDPOINT = "https://api.owlmetry.com"
CONFIG_FILE = Path(".owlmetry", "config.json")
"""Under the home directory: what Owlmetry's own command line keeps of a user's login."""
MAX_AGENT_NAME_LENGTH = 100
MAX_SECONDS = 3600.0
DEFAULT_RESULT_BYTES = 24_000
RESULT_BYTES = (4_000, 1_000_000)
"""The least and the most that a result's cap can be set to."""
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class SettingsError(Exception):
    """Settings that cannot be used: every one of them, a line each."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Settings:
    """Each with its meaning, which `docs/settings.md` and `server.json` say as well."""

    backend: BackendName
    """where the issues are: `store`, or `live`; by default `live` where a key is set and no store is named"""
    store: Path
    """the store's file; by default `store.db` in your user data directory"""
    api_key: str | None = field(repr=False)
    """the agent key or user's token to act as"""
    import_key: str | None = field(repr=False)
    """the import key with which `push` sends events, of the server's app that they are to go to"""
    endpoint: str
    """the live backend's server; `https://api.owlmetry.com` where nothing names one"""
    team: str | None
    """the team, by id, slug or name, whose key to take from Owlmetry's config file"""
    connect_timeout: float
    """seconds for a connection to the server (5)"""
    read_timeout: float
    """seconds for one answer of it (15)"""
    call_timeout: float
    """
    seconds for a whole call, with all its attempts (45); what looks at many issues answers with what it has read by
    then, and says so
    """
    project_id: str | None
    """the project, by id, name or slug, that is meant where a call names none"""
    agent_name: str | None
    """the local agent key to act as where there is no key; by default the client's name"""
    read_only: bool
    """`true`: offer no tool that writes"""
    tools: tuple[str, ...] | None
    """the tools to offer, with commas between them; all unless it is set"""
    confirm: Confirm
    """
    ask a person before `merge` and `delete_comment`: `auto` (where the client can, which is the default), `always` or
    `never`
    """
    max_result_bytes: int
    """the longest that a result may be, from 4000 up (24000)"""
    log_level: LogLevel
    """`debug`, `info`, `warning` (the default), `error` or `critical`; logs go to standard error"""


class Source(NamedTuple):
    """Where a setting came from."""

    kind: SourceKind
    name: str = ""
    """The flag, the variable or the file; a default has none."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, where each came from, and what is wrong with them."""

    settings: Settings
    """What is wrong has its default here."""
    sources: Mapping[str, Source]
    """By the settings' names; those that are wrong have none."""
    faults: list[str]
    flags: Mapping[str, Any] = field(repr=False)
    """Those they were loaded from, and whatever else came with them."""


def default_store() -> Path:
    import platformdirs  # noqa: PLC0415 - only where no path is set

    return platformdirs.user_data_path("owlmetry-mcp", appauthor=False) / "store.db"


def load(flags: Mapping[str, Any], environment: Mapping[str, str], home: Path | None = None) -> Settings:
    """The settings by their names (`store`, …), each from its flag, else from `OWLMETRY_…`, else its default.

    An empty variable counts as unset; an empty flag is an error. The live backend takes what it lacks from the config
    file under `home`, by default the user's home directory.

    Raises:
        SettingsError: some cannot be used.
    """
    loaded = look(flags, environment, home)
    if loaded.faults:
        raise SettingsError(loaded.faults)
    return loaded.settings


def look(flags: Mapping[str, Any], environment: Mapping[str, str], home: Path | None = None) -> Loaded:
    """As `load`, for whoever looks at settings though they be wrong."""
    loading = _Loading(flags, environment)
    return Loaded(loading.settings(home), loading.sources, loading.faults, flags)


def crosses_network_in_clear(endpoint: str) -> bool:
    """Whether what is sent there, the key too, can be read on its way by others than this machine's."""
    parts = urlsplit(endpoint)
    return parts.scheme == "http" and parts.hostname not in _LOOPBACK


class _Loading:
    """Settings on their way, where they came from, and what is wrong with them so far."""

    def __init__(self, flags: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        self._flags = flags
        self._environment = environment
        self.sources: dict[str, Source] = {}
        self.faults: list[str] = []

    def settings(self, home: Path | None) -> Settings:
        store = self._setting("store", _path, None)
        api_key = self._setting("api_key", _credential, None)
        endpoint = self._setting("endpoint", _endpoint, None)
        team = self._setting("team", _name, None)
        serves = bool(self._flags.get("serves"))
        http = bool(self._flags.get("http"))
        if http:
            self._refuse_an_agents_own()
            serves = False  # what the config file has is one user's
        default: BackendName = "live" if (api_key or (team and serves)) and store is None else "store"
        backend = self._setting("backend", lambda it: parameters.one_of("it", it, get_args(BackendName)), default)
        if backend == "live" and not self.faults and serves:
            path = (home or Path.home()) / CONFIG_FILE
            profile = self._profile(path, team) if not (api_key and endpoint) else {}
            theirs = profile.get("endpoint", DEFAULT_ENDPOINT)
            if not api_key and endpoint not in (None, theirs) and "api_key" in profile:
                self.faults.append(f"OWLMETRY_API_KEY: the key in ~/{CONFIG_FILE} is for {theirs}, not for {endpoint}")
            if not self.faults:  # else no key goes to a server that it may not be for
                api_key = api_key or self._from_file("api_key", profile, path)
                endpoint = endpoint or self._from_file("endpoint", profile, path)
            if not api_key and not self.faults:
                self.faults.append(
                    "OWLMETRY_API_KEY: the live backend needs an agent key (owl_agent_…); set it, or log in with"
                    f" Owlmetry's own command line, which keeps one in ~/{CONFIG_FILE}"
                )
        return Settings(
            backend=backend,
            store=store or default_store(),
            api_key=api_key,
            import_key=self._setting("import_key", _credential, None),
            endpoint=endpoint or DEFAULT_ENDPOINT,
            team=team,
            connect_timeout=self._setting("connect_timeout", _seconds, 5.0),
            read_timeout=self._setting("read_timeout", _seconds, 15.0),
            call_timeout=self._setting("call_timeout", _seconds, 45.0),
            project_id=self._setting("project_id", _name, None),
            agent_name=self._setting("agent_name", _name, None),
            read_only=self._setting("read_only", _flag, default=False),
            tools=self._setting("tools", _names, None),
            confirm=self._setting("confirm", lambda it: parameters.one_of("it", it.lower(), get_args(Confirm)), "auto"),
            max_result_bytes=self._setting("max_result_bytes", _result_bytes, DEFAULT_RESULT_BYTES),
            log_level=self._setting(
                "log_level", lambda it: parameters.one_of("it", it.lower(), get_args(LogLevel)), "warning"
            ),
        )

    def _setting(self, name: str, check: Callable[[str], Value], default: Value) -> Value:
        variable = f"OWLMETRY_{name.upper()}"
        flag: str | None = self._flags.get(name)
        value = self._environment.get(variable, "").strip() if flag is None else flag
        if flag is None and not value:
            self.sources[name] = Source("default")
            return default
        flags: Mapping[str, str] = self._flags.get("flag_names", {})
        named = flags.get(name, f"--{name.replace('_', '-')}")
        source = Source("environment", variable) if flag is None else Source("flag", named)
        try:
            checked = check(value)
        except InvalidInputError as error:
            self.faults.append(f"{source.name}: {error}")
            return default
        self.sources[name] = source
        return checked

    def _from_file(self, name: str, profile: Mapping[str, str], path: Path) -> str | None:
        if name in profile:
            self.sources[name] = Source("config file", str(path))
        return profile.get(name)

    def _refuse_an_agents_own(self) -> None:
        """Whoever asks over HTTP acts as the key that comes with the request, and never as another."""
        for name in ("api_key", "team", "agent_name"):
            variable = f"OWLMETRY_{name.upper()}"
            if self._flags.get(name) is not None or self._environment.get(variable, "").strip():
                self.faults.append(
                    f"{variable}: over HTTP each request acts as the key that it carries, and as no other; unset it"
                )

    def _profile(self, path: Path, team: str | None) -> dict[str, str]:
        """What the config file says of the endpoint and the key; empty where there is no file, and no team is named."""
        try:
            config = from_json(path.read_bytes())
            teams = {str(id_): dict(row) for id_, row in dict(config.get("teams") or {}).items()}
            endpoint = config.get("endpoint")
            active = config.get("active_team")
            found = {"endpoint": _endpoint(endpoint)} if endpoint else {}
            row = _picked(teams, team) if team else teams.get(str(active), {})
            return found | ({"api_key": _credential(row["api_key"])} if row.get("api_key") else {})
        except FileNotFoundError:
            if team:
                self.faults.append(f"OWLMETRY_TEAM: there is no {path} to take the team from")
        except InvalidInputError as error:
            self.faults.append(f"{path}: {error}")
        except (OSError, ValueError, TypeError, AttributeError) as error:
            self.faults.append(f"{path}: it cannot be read as Owlmetry's config file ({type(error).__name__})")
        return {}


def _picked(teams: Mapping[str, Mapping[str, Any]], wanted: str) -> Mapping[str, Any]:
    if wanted in teams:
        return teams[wanted]
    for row in teams.values():
        if wanted in (row.get("team_slug"), row.get("team_name")):
            return row
    known = ", ".join(str(row.get("team_slug") or id_) for id_, row in teams.items())
    raise InvalidInputError(f"it has no team {parameters.shown(wanted)}", f"It has {known or 'none'}.")


def _path(value: str) -> Path:
    if not value or "\0" in value:
        raise InvalidInputError("it must be the path of a file")
    try:
        return Path(value).expanduser()
    except RuntimeError as error:
        raise InvalidInputError("there is no such home directory") from error


def _credential(value: str) -> str:
    """Checked for its form alone, and never quoted."""
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or " " in value:
        raise InvalidInputError("it must be a key (owl_…) or a user's token, on one line without blanks")
    if "{" in value:
        raise InvalidInputError(
            "it is a reference that the MCP client did not resolve; set the variable where the client is started"
        )
    return value


def _endpoint(value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except (ValueError, AttributeError):
        usable = False
    if not usable or not value.isascii() or not value.isprintable() or set(value) & set(" \\?#@"):
        raise InvalidInputError(
            "it must be a server's address such as https://owl.example.com, without a query or user"
        )
    return value.rstrip("/")


def _seconds(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= MAX_SECONDS:
        raise InvalidInputError(
            f"it must be a number of seconds up to {MAX_SECONDS:.0f}, not {parameters.shown(value)}"
        )
    return seconds


def _flag(value: str) -> bool:
    flags = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
    return flags[parameters.one_of("it", value.lower(), tuple(flags))]


def _names(value: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in value.split(",") if name.strip())
    if not names:
        raise InvalidInputError("it must name tools, with commas between them")
    return names


def _result_bytes(value: str) -> int:
    least, most = RESULT_BYTES
    if value.isascii() and value.isdigit() and least <= int(value[:9]) <= most:
        return int(value)
    raise InvalidInputError(f"it must be a number of bytes from {least} to {most}, not {parameters.shown(value)}")


def _name(value: str) -> str:
    if not 0 < len(value) <= MAX_AGENT_NAME_LENGTH or not value.isprintable():
        raise InvalidInputError(f"it must be 1 to {MAX_AGENT_NAME_LENGTH} printable characters")
    return value
