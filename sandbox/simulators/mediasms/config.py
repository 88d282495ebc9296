"""Holds the settings of the simulated account and provider that a test or an operator may choose."""

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
    """The account, the document's open questions, and the speed of the simulator.

    Names ending in `_s` are seconds.
    """

    user: str
    password: str = field(repr=False)

    # The account.
    allowed_addresses: frozenset[str] | None = setting(
        optional_reader(lambda value: frozenset(list_reader(read_text)(value))), default=None
    )
    """The source addresses registered in the console. Any other gets 557. None registers none and refuses none."""
    contracted_messages: int | None = setting(optional_reader(read_whole_number), default=None)
    """The number of accepted messages after which the answer is 402; None is no limit."""
    long_sms: bool = setting(read_switch, default=False)
    titles_enabled: bool = setting(read_switch, default=True)
    templates: Mapping[str, str] = setting(mapping_reader(read_text, called="texts by id"), default=DEFAULT_TEMPLATES)
    """The texts registered in the console, by `smstextid`. Any other id gets 550."""

    # The rate limit: 80 requests a second from one source address.
    requests_per_second: int = setting(read_whole_number, default=80)
    window: Literal["sliding", "fixed"] = choice("sliding", "fixed")
    refusals_count: bool = setting(read_switch, default=False)
    """True counts refused requests in the rate limit too. The document is silent; False counts accepted ones only."""

    # The form of an answer.
    http_status_style: Literal["code", "always_200"] = choice("code", "always_200")
    body_style: Literal["text", "json", "html"] = choice("text", "json", "html")
    text_required_without_sms: bool = setting(read_switch, default=True)
    """True requires a text for methods 4 and 5 too, which send no SMS, as the parameter table literally says."""
    unknown_id_code: int = setting(read_whole_number, default=404)
    """The answer of the result API to an smsid of no message. The code of MediaSMS is not published."""
    keep_alive_s: float = setting(read_seconds, default=15.0)
    answer_after_s: float = setting(read_seconds, default=0.0)
    """The time before every answer of the send API: the provider's latency."""
    slow_answer_s: float = setting(read_seconds, default=2.0)
    hold_open_s: float = setting(read_seconds, default=30.0)
    """The time until the connection of an accepted request that is never answered is closed."""
    early_report_wait_s: float = setting(read_seconds, default=3.0)
    """The longest time that an answer waits for the first report, if it must come after that report."""

    # Delivery reports.
    report_url: str | None = address(read_web_address)
    report_method: Literal["POST", "GET"] = choice("POST", "GET")
    status_style: Literal["number", "name"] = choice("number", "name")
    report_time_factor: float = setting(read_seconds, default=1.0)
    """A factor for every delay in every number's script. 0 makes all reports and IVR callbacks due at once."""
    report_copies: int = setting(read_whole_number, default=1)
    report_order: Literal["as_they_happen", "reversed", "shuffled"] = choice("as_they_happen", "reversed", "shuffled")
    report_retries: int = setting(read_whole_number, default=0)
    """The number of retries after an answer that is not 2xx. The document promises none."""
    report_retry_after_s: float = setting(read_seconds, default=1.0)
    report_timeout_s: float = setting(read_seconds, default=15.0)
    """The time-out of IVR callbacks too."""

    # Verification by telephone.
    ivr_url: str | None = address(read_web_address)
    ivr_method: Literal["POST", "GET"] = choice("POST", "GET")
    ivr_number_style: Literal["as_asked", "plus_81", "hyphens"] = choice("as_asked", "plus_81", "hyphens")
    """The form of `mobilenumber` in a callback. The document says: as in the request."""
    ivr_with_smsid: bool = setting(read_switch, default=False)
    """True adds `smsid` to a callback, which the document does not list."""
    ivr_copies: int = setting(read_whole_number, default=1)
    ivr_after_s: float = setting(read_seconds, default=0.0)
    """The time from the successful call to its callback."""
    default_holding_minutes: int = setting(read_whole_number, default=10)
    """The holding time of a request without `holdingtime`. The document gives no default."""
    holding_zero: Literal["closed", "no_end"] = choice("closed", "no_end")
    """The meaning of `holdingtime=0`, which the document does not give. Taken literally, no call is in time."""
    authcode_digits: int = setting(read_whole_number, default=4)
    authcode_in: Literal["reports_after_reading", "every_report"] = choice("reports_after_reading", "every_report")
    ring_s: float = setting(read_seconds, default=0.2)
    call_again_after_s: float = setting(read_seconds, default=1.0)
    """The time from the end of an unanswered call to the next call."""
