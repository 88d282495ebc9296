"""Everything about the simulated account and provider that a test or a person may choose."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

from sandbox.simulators.json_readers import (
    list_reader,
    mapping_reader,
    optional_reader,
    read_seconds,
    read_switch,
    read_text,
    read_web_address,
    read_whole_number,
)
from sandbox.simulators.settings import Settings, address, choice, setting

DEFAULT_TEMPLATES: Final[Mapping[str, str]] = MappingProxyType(
    {"1": "ご予約を承りました。", "2": "Your reservation is confirmed."}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorConfig(Settings):
    """The account, the document's open questions, and the speed of things. Names ending in `_s` are seconds."""

    user: str
    password: str = field(repr=False)

    # The account.
    allowed_addresses: frozenset[str] | None = setting(
        optional_reader(lambda value: frozenset(list_reader(read_text)(value))), default=None
    )
    """Source addresses registered in the console; None registers none and refuses none (557)."""
    contracted_messages: int | None = setting(optional_reader(read_whole_number), default=None)
    """Accepted messages after which the answer is 402; None is no end."""
    long_sms: bool = setting(read_switch, default=False)
    titles_enabled: bool = setting(read_switch, default=True)
    templates: Mapping[str, str] = setting(mapping_reader(read_text, called="texts by id"), default=DEFAULT_TEMPLATES)
    """Texts registered in the console by `smstextid`; any other id is a 550."""

    # The pace: 80 a second from one source address.
    requests_per_second: int = setting(read_whole_number, default=80)
    window: Literal["sliding", "fixed"] = choice("sliding", "fixed")
    refusals_count: bool = setting(read_switch, default=False)
    """Whether refused requests use up the second too. The document is silent; False counts accepted ones only."""

    # The form of an answer.
    http_status_style: Literal["code", "always_200"] = choice("code", "always_200")
    body_style: Literal["text", "json", "html"] = choice("text", "json", "html")
    text_required_without_sms: bool = setting(read_switch, default=True)
    """Whether methods 4 and 5, which send no SMS, need a text as the parameter table literally says."""
    keep_alive_s: float = setting(read_seconds, default=15.0)
    slow_answer_s: float = setting(read_seconds, default=2.0)
    hold_open_s: float = setting(read_seconds, default=30.0)
    """How long an accepted request that is never answered stays open before the connection is closed."""
    early_report_wait_s: float = setting(read_seconds, default=3.0)
    """How long an answer that must come after the first report waits for it at most."""

    # Delivery reports.
    report_url: str | None = address(read_web_address)
    report_method: Literal["POST", "GET"] = choice("POST", "GET")
    status_style: Literal["number", "name"] = choice("number", "name")
    report_time_factor: float = setting(read_seconds, default=1.0)
    """Multiplies every delay of every number's script: 0 makes all reports and IVR callbacks due at once."""
    report_copies: int = setting(read_whole_number, default=1)
    report_order: Literal["as_they_happen", "reversed", "shuffled"] = choice("as_they_happen", "reversed", "shuffled")
    report_retries: int = setting(read_whole_number, default=0)
    """Further tries after an answer that is not 2xx. The document promises none."""
    report_retry_after_s: float = setting(read_seconds, default=1.0)
    report_timeout_s: float = setting(read_seconds, default=15.0)
    """For IVR callbacks too."""

    # Verification by telephone.
    ivr_url: str | None = address(read_web_address)
    ivr_method: Literal["POST", "GET"] = choice("POST", "GET")
    ivr_number_style: Literal["as_asked", "plus_81", "hyphens"] = choice("as_asked", "plus_81", "hyphens")
    """How a callback writes `mobilenumber`; the document says as the request did."""
    ivr_with_smsid: bool = setting(read_switch, default=False)
    """Whether a callback carries `smsid`, which the document does not list."""
    ivr_copies: int = setting(read_whole_number, default=1)
    ivr_after_s: float = setting(read_seconds, default=0.0)
    """From the successful call to its callback."""
    default_holding_minutes: int = setting(read_whole_number, default=10)
    """Where the request has no `holdingtime`; the document does not say."""
    holding_zero: Literal["closed", "no_end"] = choice("closed", "no_end")
    """What `holdingtime=0` means; the document does not say. Literally, no minute in which a call would do."""
    authcode_digits: int = setting(read_whole_number, default=4)
    authcode_in: Literal["reports_after_reading", "every_report"] = choice("reports_after_reading", "every_report")
    ring_s: float = setting(read_seconds, default=0.2)
    call_again_after_s: float = setting(read_seconds, default=1.0)
    """From the end of a call that nobody answered to the next one."""
