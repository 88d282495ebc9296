"""Settings come from the environment alone, and whatever is wrong there is said at once."""

from __future__ import annotations

import inspect
from typing import Any, get_args, get_type_hints

import pytest

from switchboard import config
from switchboard.config import SendSmsSettings, Settings, StateSettings
from switchboard.domain.errors import ConfigurationError, SwitchboardError

GOOD = {
    "STATE_TABLE": "state",
    "RETENTION_DAYS": "90",
    "STORE_TIMEOUT_S": "2",
    "DELIVERY_WINDOW_HOURS": "72",
    "QUEUE_VALIDITY_HOURS": "0.5",
    "REQUEUE_MINUTES": "15",
    "LEASE_GRACE_MINUTES": "5",
}
ALL_SETTINGS = [
    each
    for each in vars(config).values()
    if inspect.isclass(each) and issubclass(each, Settings) and each is not Settings
]
EXAMPLES: dict[Any, str] = {str: "text", int: "5", float: "0.5", bool: "true", tuple[str, ...]: "a,b"}


def complete(kind: type[Settings]) -> dict[str, str]:
    return {
        name.upper(): EXAMPLES[hint] if hint in EXAMPLES else get_args(hint)[0]
        for name, hint in get_type_hints(kind).items()
    }


def test_values_have_the_kinds_that_they_are_used_as() -> None:
    settings = StateSettings.load(GOOD)

    assert settings == StateSettings(
        state_table="state",
        store_timeout_s=2.0,
        retention_days=90,
        delivery_window_hours=72.0,
        queue_validity_hours=0.5,
        requeue_minutes=15.0,
        lease_grace_minutes=5.0,
    )
    assert settings.retention.days == 90


@pytest.mark.parametrize("kind", ALL_SETTINGS)
def test_each_functions_settings_load_from_exactly_the_variables_they_name(kind: type[Settings]) -> None:
    environment = complete(kind)

    assert kind.variables() == set(environment)
    assert kind.load({**environment, "UNRELATED": "x"})


@pytest.mark.parametrize("kind", ALL_SETTINGS)
def test_any_missing_variable_is_named(kind: type[Settings]) -> None:
    for name in kind.variables():
        environment = {other: value for other, value in complete(kind).items() if other != name}
        with pytest.raises(ConfigurationError, match=rf"{kind.__name__}.*\b{name}\b"):
            kind.load(environment)


def test_all_that_is_missing_or_unreadable_is_named_together_and_no_value_is() -> None:
    with pytest.raises(ConfigurationError) as raised:
        StateSettings.load({**GOOD, "RETENTION_DAYS": "ninety", "REQUEUE_MINUTES": "15 min"})

    said = str(raised.value)
    assert "RETENTION_DAYS" in said
    assert "REQUEUE_MINUTES" in said
    assert "STATE_TABLE" not in said
    assert "ninety" not in said


@pytest.mark.parametrize("text", ["True", "1", "yes", "", " true"])
def test_a_switch_is_true_or_false_and_nothing_else(text: str) -> None:
    with pytest.raises(ConfigurationError, match="LONG_SMS"):
        SendSmsSettings.load({**complete(SendSmsSettings), "LONG_SMS": text})


@pytest.mark.parametrize(
    ("text", "parts"), [("", ()), ("+1", ("+1",)), ("+1,+86", ("+1", "+86")), (" +1 , ,+86,", ("+1", "+86"))]
)
def test_a_list_is_separated_by_commas_and_may_be_empty(text: str, parts: tuple[str, ...]) -> None:
    settings = SendSmsSettings.load({**complete(SendSmsSettings), "OVERSEAS_PREFIXES": text})

    assert settings.overseas_prefixes == parts


@pytest.mark.parametrize("text", ["post", "PUT", "", " POST"])
def test_one_of_several_words_is_exactly_one_of_them(text: str) -> None:
    with pytest.raises(ConfigurationError, match="MEDIASMS_METHOD"):
        SendSmsSettings.load({**complete(SendSmsSettings), "MEDIASMS_METHOD": text})


def test_the_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)

    assert StateSettings.load().state_table == "state"


def test_a_wrong_configuration_is_nothing_that_the_edge_answers_away() -> None:
    assert not issubclass(ConfigurationError, SwitchboardError)
