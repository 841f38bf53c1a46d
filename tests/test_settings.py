"""Settings: flags over environment over defaults, with every fault told at once."""

from pathlib import Path

import pytest

from owlmetry_mcp.settings import Settings, SettingsError, default_store, load

PROJECT = "f286893c-9aa6-51f7-a145-f0b2a32184c7"
DEFAULTS = Settings("store", default_store(), None, None, None, "warning")


def test_without_flags_and_environment_the_defaults_hold() -> None:
    assert load({}, {}) == DEFAULTS


def test_empty_variables_count_as_unset() -> None:
    names = ("BACKEND", "STORE", "API_KEY", "PROJECT_ID", "AGENT_NAME", "LOG_LEVEL")
    assert load({}, {f"OWLMETRY_{name}": "  " for name in names}) == DEFAULTS


def test_a_flag_goes_before_its_variable() -> None:
    flags = {"store": "/flag/store.db", "agent_name": None}
    environment = {"OWLMETRY_STORE": "/variable", "OWLMETRY_AGENT_NAME": "Owl", "OWLMETRY_LOG_LEVEL": "DEBUG"}
    assert load(flags, environment) == Settings("store", Path("/flag/store.db"), None, None, "Owl", "debug")


def test_a_path_may_begin_at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load({"store": "~/owl.db"}, {}).store == tmp_path / "owl.db"


def test_all_wrong_settings_are_reported_together_and_no_key_among_them() -> None:
    environment = {
        "OWLMETRY_BACKEND": "cloud",
        "OWLMETRY_STORE": "x",
        "OWLMETRY_API_KEY": "owl_agent_secret and more",
        "OWLMETRY_PROJECT_ID": "shop",
        "OWLMETRY_AGENT_NAME": "a\tb",
        "OWLMETRY_LOG_LEVEL": "loud",
    }
    with pytest.raises(SettingsError) as refusal:
        load({"store": "", "project_id": "nope"}, environment)
    told = [fault.partition(":")[0] for fault in refusal.value.faults]
    assert told == [
        "OWLMETRY_BACKEND", "--store", "OWLMETRY_API_KEY", "--project-id", "OWLMETRY_AGENT_NAME", "OWLMETRY_LOG_LEVEL",
    ]  # fmt: skip
    assert "secret" not in str(refusal.value)
    assert "one of store, not" in str(refusal.value)


def test_a_key_is_not_in_the_settings_repr() -> None:
    settings = load({}, {"OWLMETRY_API_KEY": "owl_agent_123"})
    assert settings.api_key == "owl_agent_123"
    assert "owl_agent_123" not in repr(settings)
