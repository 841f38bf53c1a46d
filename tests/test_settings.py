"""Settings: flags over environment over defaults, with every fault told at once."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from owlmetry_mcp.settings import Settings, SettingsError, Source, default_store, load, look

PROJECT = "f286893c-9aa6-51f7-a145-f0b2a32184c7"
DEFAULTS = Settings(
    backend="store",
    store=default_store(),
    api_key=None,
    import_key=None,
    endpoint="https://api.owlmetry.com",
    team=None,
    connect_timeout=5.0,
    read_timeout=15.0,
    call_timeout=45.0,
    project_id=None,
    agent_name=None,
    read_only=False,
    tools=None,
    confirm="auto",
    max_result_bytes=24_000,
    log_level="warning",
)
CONFIG = {
    "endpoint": "https://owl.example.com/",
    "active_team": "1",
    "teams": {
        "1": {"api_key": "owl_agent_one", "team_name": "One", "team_slug": "one"},
        "2": {"api_key": "owl_agent_two", "team_name": "Two", "team_slug": "two"},
    },
}
LIVE = {"OWLMETRY_BACKEND": "live"}
SERVES = {"serves": True}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / ".owlmetry").mkdir()
    (tmp_path / ".owlmetry" / "config.json").write_text(json.dumps(CONFIG))
    return tmp_path


def test_without_flags_and_environment_the_defaults_hold() -> None:
    assert load({}, {}) == DEFAULTS


def test_empty_variables_count_as_unset() -> None:
    assert load({}, {f"OWLMETRY_{name.upper()}": "  " for name in Settings.__dataclass_fields__}) == DEFAULTS


def test_a_flag_goes_before_its_variable() -> None:
    flags = {"store": "/flag/store.db", "agent_name": None}
    environment = {"OWLMETRY_STORE": "/variable", "OWLMETRY_AGENT_NAME": "Owl", "OWLMETRY_LOG_LEVEL": "DEBUG"}
    expected = replace(DEFAULTS, store=Path("/flag/store.db"), agent_name="Owl", log_level="debug")
    assert load(flags, environment) == expected


def test_a_path_may_begin_at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load({"store": "~/owl.db"}, {}).store == tmp_path / "owl.db"


def test_all_wrong_settings_are_reported_together_and_no_key_among_them() -> None:
    environment = {
        "OWLMETRY_BACKEND": "cloud",
        "OWLMETRY_STORE": "x",
        "OWLMETRY_API_KEY": "owl_agent_secret and more",
        "OWLMETRY_PROJECT_ID": "sh\top",
        "OWLMETRY_AGENT_NAME": "a\tb",
        "OWLMETRY_LOG_LEVEL": "loud",
        "OWLMETRY_ENDPOINT": "https://user:secret@owl.example.com",
        "OWLMETRY_READ_TIMEOUT": "-1",
    }
    with pytest.raises(SettingsError) as refusal:
        load({"store": "", "project_id": ""}, environment)
    told = [fault.partition(":")[0] for fault in refusal.value.faults]
    assert told == [
        "--store", "OWLMETRY_API_KEY", "OWLMETRY_ENDPOINT", "OWLMETRY_BACKEND", "OWLMETRY_READ_TIMEOUT", "--project-id",
        "OWLMETRY_AGENT_NAME", "OWLMETRY_LOG_LEVEL",
    ]  # fmt: skip
    assert "secret" not in str(refusal.value)
    assert "one of store, live, not" in str(refusal.value)


def test_a_key_is_not_in_the_settings_repr() -> None:
    settings = load({}, {"OWLMETRY_API_KEY": "owl_agent_123"})
    assert settings.api_key == "owl_agent_123"
    assert "owl_agent_123" not in repr(settings)


def test_a_key_without_a_store_means_the_live_backend() -> None:
    key = {"OWLMETRY_API_KEY": "owl_agent_1"}
    assert load({}, key).backend == "live"
    assert load({}, key | {"OWLMETRY_STORE": "x"}).backend == "store"
    assert load({"store": "x"}, key).backend == "store"
    assert load({}, key | {"OWLMETRY_BACKEND": "store"}).backend == "store"
    assert load({}, {}).backend == "store"


def test_what_the_live_backend_lacks_is_in_the_config_file(home: Path) -> None:
    settings = load(SERVES, LIVE, home)
    assert (settings.endpoint, settings.api_key) == ("https://owl.example.com", "owl_agent_one")
    named = load(SERVES | {"team": "two"}, LIVE, home)
    assert named.api_key == "owl_agent_two"
    by_name = load(SERVES, LIVE | {"OWLMETRY_TEAM": "Two"}, home)
    assert by_name.api_key == "owl_agent_two"
    implied = load(SERVES | {"team": "2"}, {}, home)
    assert (implied.backend, implied.api_key) == ("live", "owl_agent_two")
    given = load(SERVES, LIVE | {"OWLMETRY_API_KEY": "owl_agent_x", "OWLMETRY_ENDPOINT": "http://localhost:4000"}, home)
    assert (given.endpoint, given.api_key) == ("http://localhost:4000", "owl_agent_x")


def test_where_each_setting_came_from_is_known(home: Path) -> None:
    environment = LIVE | {"OWLMETRY_READ_ONLY": "true", "OWLMETRY_TOOLS": "whoami", "OWLMETRY_LOG_LEVEL": "loud"}
    found = look(SERVES | {"call_timeout": "9", "tools": "merge"}, environment, home)
    file, default = Source("config file", str(home / ".owlmetry" / "config.json")), Source("default")
    assert found.sources == {name: default for name in Settings.__dataclass_fields__ if name != "log_level"} | {
        "backend": Source("environment", "OWLMETRY_BACKEND"),
        "api_key": file,
        "endpoint": file,
        "call_timeout": Source("flag", "--call-timeout"),
        "read_only": Source("environment", "OWLMETRY_READ_ONLY"),
        "tools": Source("flag", "--tools"),
    }
    assert [fault.partition(":")[0] for fault in found.faults] == ["OWLMETRY_LOG_LEVEL"]
    assert (found.settings.api_key, found.settings.log_level) == ("owl_agent_one", "warning")
    assert "owl_agent_one" not in repr(found)


def test_a_key_for_another_server_is_not_taken_though_one_looks_on(home: Path) -> None:
    found = look(SERVES, LIVE | {"OWLMETRY_ENDPOINT": "http://other.example"}, home)
    assert (found.settings.endpoint, found.settings.api_key) == ("http://other.example", None)
    assert len(found.faults) == 1


@pytest.mark.parametrize(
    ("config", "team", "said"),
    [
        (None, None, "OWLMETRY_API_KEY: the live backend needs an agent key"),
        (None, "two", "OWLMETRY_TEAM: there is no "),
        (CONFIG, "three", 'it has no team "three". It has one, two.'),
        ("{", None, "cannot be read as Owlmetry's config file"),
        ([], None, "cannot be read as Owlmetry's config file"),
        ({"teams": {"1": 5}}, None, "cannot be read as Owlmetry's config file"),
        ({"endpoint": "ftp://x"}, None, "it must be a server's address"),
        (CONFIG | {"active_team": "3"}, None, "OWLMETRY_API_KEY: the live backend needs an agent key"),
    ],
)
def test_a_config_file_that_does_not_help_is_told(home: Path, config: object, team: str | None, said: str) -> None:
    path = home / ".owlmetry" / "config.json"
    if config is None:
        path.unlink()
    else:
        path.write_text(config if isinstance(config, str) else json.dumps(config))
    with pytest.raises(SettingsError) as refusal:
        load(SERVES | {"team": team}, LIVE, home)
    assert said in str(refusal.value)
    assert "owl_agent_one" not in str(refusal.value)


def test_the_config_files_key_goes_to_its_own_server_alone(home: Path) -> None:
    with pytest.raises(SettingsError, match=r"is for https://owl\.example\.com, not for http://other\.example"):
        load(SERVES, LIVE | {"OWLMETRY_ENDPOINT": "http://other.example"}, home)
    assert load(SERVES, LIVE | {"OWLMETRY_ENDPOINT": "https://owl.example.com"}, home).api_key == "owl_agent_one"


@pytest.mark.parametrize(
    "endpoint",
    ["owl.example.com", "ftp://x", "http://", "http://☃", "http://a b", "http://x?", "http://x#", "http://u@x", "http://x\\y",
     "http://x:0", "http://x:99999"],
)  # fmt: skip
def test_an_endpoint_that_is_no_servers_address_is_refused(endpoint: str) -> None:
    with pytest.raises(SettingsError, match="OWLMETRY_ENDPOINT: it must be a server's address"):
        load({}, {"OWLMETRY_ENDPOINT": endpoint})


def test_commands_that_serve_nothing_need_no_key(home: Path) -> None:
    (home / ".owlmetry" / "config.json").unlink()
    assert load({}, LIVE, home).api_key is None
