"""Settings come from the environment alone, and one error names everything that is wrong there."""

from __future__ import annotations

import inspect
from typing import Any, get_args, get_type_hints

import pytest

from switchboard import config
from switchboard.config import SendSmsSettings, Settings, StateSettings
from switchboard.domain.errors import ConfigurationError, SwitchboardError

VALID = {
    "STATE_TABLE": "state",
    "RETENTION_DAYS": "90",
    "STORE_TIMEOUT_S": "2",
    "DELIVERY_WINDOW_HOURS": "72",
    "QUEUE_VALIDITY_HOURS": "0.5",
    "REQUEUE_MINUTES": "15",
    "LEASE_GRACE_MINUTES": "5",
    "MEDIASMS_RESULTS_URL": "",
    "MEDIASMS_NOT_FOUND_DECIDES": "false",
}
ALL_SETTINGS = [
    member
    for member in vars(config).values()
    if inspect.isclass(member) and issubclass(member, Settings) and member is not Settings
]
EXAMPLES: dict[Any, str] = {str: "text", int: "5", float: "0.5", bool: "true", tuple[str, ...]: "a,b"}


def complete_environment(kind: type[Settings]) -> dict[str, str]:
    return {
        name.upper(): EXAMPLES[hint] if hint in EXAMPLES else get_args(hint)[0]
        for name, hint in get_type_hints(kind).items()
    }


def test_values_are_read_as_their_types() -> None:
    settings = StateSettings.load(VALID)

    assert settings == StateSettings(
        state_table="state",
        store_timeout_s=2.0,
        retention_days=90,
        delivery_window_hours=72.0,
        queue_validity_hours=0.5,
        requeue_minutes=15.0,
        lease_grace_minutes=5.0,
        mediasms_results_url="",
        mediasms_not_found_decides=False,
    )
    assert settings.retention.days == 90


@pytest.mark.parametrize("kind", ALL_SETTINGS, ids=lambda kind: kind.__name__)
def test_settings_load_from_exactly_the_variables_they_name(kind: type[Settings]) -> None:
    environment = complete_environment(kind)

    assert kind.variables() == set(environment)
    assert kind.load({**environment, "UNRELATED": "x"})


@pytest.mark.parametrize("kind", ALL_SETTINGS, ids=lambda kind: kind.__name__)
def test_a_missing_variable_is_named(kind: type[Settings]) -> None:
    for name in kind.variables():
        environment = {other: value for other, value in complete_environment(kind).items() if other != name}
        with pytest.raises(ConfigurationError, match=rf"{kind.__name__}.*\b{name}\b"):
            kind.load(environment)


def test_all_unreadable_variables_are_named_together_without_values() -> None:
    with pytest.raises(ConfigurationError) as raised:
        StateSettings.load({**VALID, "RETENTION_DAYS": "ninety", "REQUEUE_MINUTES": "15 min"})

    message = str(raised.value)
    assert "RETENTION_DAYS" in message
    assert "REQUEUE_MINUTES" in message
    assert "STATE_TABLE" not in message
    assert "ninety" not in message


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("True", id="capital letter"),
        pytest.param("1", id="number"),
        pytest.param("yes", id="yes"),
        pytest.param("", id="empty"),
        pytest.param(" true", id="blank"),
    ],
)
def test_a_switch_other_than_true_or_false_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="LONG_SMS"):
        SendSmsSettings.load({**complete_environment(SendSmsSettings), "LONG_SMS": text})


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        pytest.param("", (), id="empty"),
        pytest.param("+1", ("+1",), id="one part"),
        pytest.param("+1,+86", ("+1", "+86"), id="two parts"),
        pytest.param(" +1 , ,+86,", ("+1", "+86"), id="blanks and empty parts"),
    ],
)
def test_a_list_is_separated_by_commas(text: str, parts: tuple[str, ...]) -> None:
    settings = SendSmsSettings.load({**complete_environment(SendSmsSettings), "OVERSEAS_PREFIXES": text})

    assert settings.overseas_prefixes == parts


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("post", id="lower case"),
        pytest.param("PUT", id="another word"),
        pytest.param("", id="empty"),
        pytest.param(" POST", id="blank"),
    ],
)
def test_a_word_that_is_not_allowed_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="MEDIASMS_METHOD"):
        SendSmsSettings.load({**complete_environment(SendSmsSettings), "MEDIASMS_METHOD": text})


def test_the_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in VALID.items():
        monkeypatch.setenv(name, value)

    assert StateSettings.load().state_table == "state"


def test_the_edge_does_not_answer_a_configuration_error() -> None:
    assert not issubclass(ConfigurationError, SwitchboardError)
