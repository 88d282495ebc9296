"""Everything about the simulated account and provider that a test or a person may choose."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Final, Literal

from sandbox.simulators.readers import (
    WrongJsonError,
    list_of,
    one_of,
    optional,
    seconds,
    switch,
    text,
    web_address,
    whole,
)

DEFAULT_TEMPLATES: Final[Mapping[str, str]] = MappingProxyType(
    {"1": "ご予約を承りました。", "2": "Your reservation is confirmed."}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorConfig:
    """The account, the document's open questions, and the speed of things. Names ending in `_s` are seconds."""

    user: str
    password: str = field(repr=False)

    # The account.
    allowed_addresses: frozenset[str] | None = None
    """Source addresses registered in the console; None registers none and refuses none (557)."""
    contracted_messages: int | None = None
    """Accepted messages after which the answer is 402; None is no end."""
    long_sms: bool = False
    titles_enabled: bool = True
    templates: Mapping[str, str] = field(default_factory=lambda: DEFAULT_TEMPLATES)
    """Texts registered in the console by `smstextid`; any other id is a 550."""

    # The pace: 80 a second from one source address.
    requests_per_second: int = 80
    window: Literal["sliding", "fixed"] = "sliding"
    refusals_count: bool = False
    """Whether refused requests use up the second too. The document is silent; False counts accepted ones only."""

    # The form of an answer.
    http_status_style: Literal["code", "always_200"] = "code"
    body_style: Literal["text", "json", "html"] = "text"
    text_required_without_sms: bool = True
    """Whether methods 4 and 5, which send no SMS, need a text as the parameter table literally says."""
    keep_alive_s: float = 15.0
    slow_answer_s: float = 2.0
    hold_open_s: float = 30.0
    """How long an accepted request that is never answered stays open before the connection is closed."""
    early_report_wait_s: float = 3.0
    """How long an answer that must come after the first report waits for it at most."""

    # Delivery reports.
    report_url: str | None = field(default=None, repr=False)
    report_method: Literal["POST", "GET"] = "POST"
    status_style: Literal["number", "name"] = "number"
    report_time_factor: float = 1.0
    """Multiplies every delay of every number's script: 0 makes all reports and IVR callbacks due at once."""
    report_copies: int = 1
    report_order: Literal["as_they_happen", "reversed", "shuffled"] = "as_they_happen"
    report_retries: int = 0
    """Further tries after an answer that is not 2xx. The document promises none."""
    report_retry_after_s: float = 1.0
    report_timeout_s: float = 15.0
    """For IVR callbacks too."""

    # Verification by telephone.
    ivr_url: str | None = field(default=None, repr=False)
    ivr_method: Literal["POST", "GET"] = "POST"
    ivr_number_style: Literal["as_asked", "plus_81", "hyphens"] = "as_asked"
    """How a callback writes `mobilenumber`; the document says as the request did."""
    ivr_with_smsid: bool = False
    """Whether a callback carries `smsid`, which the document does not list."""
    ivr_copies: int = 1
    ivr_after_s: float = 0.0
    """From the successful call to its callback."""
    default_holding_minutes: int = 10
    """Where the request has no `holdingtime`; the document does not say."""
    holding_zero: Literal["closed", "no_end"] = "closed"
    """What `holdingtime=0` means; the document does not say. Literally, no minute in which a call would do."""
    authcode_digits: int = 4
    authcode_in: Literal["reports_after_reading", "every_report"] = "reports_after_reading"
    ring_s: float = 0.2
    call_again_after_s: float = 1.0
    """From the end of a call that nobody answered to the next one."""

    def changed(self, changes: Mapping[str, object]) -> "SimulatorConfig":
        """Return this configuration with `changes` (decoded JSON) made.

        Raises ValueError naming the field when a field is unknown or its value is of the wrong kind.
        """
        values: dict[str, object] = {}
        for name, value in changes.items():
            reader = _READERS.get(name)
            if reader is None:
                raise WrongJsonError(f"no such setting: {name}")
            try:
                values[name] = reader(value)
            except (TypeError, ValueError) as problem:
                raise WrongJsonError(f"{name}: {problem}") from problem
        return replace(self, **values)  # type: ignore[arg-type]

    def shown(self) -> dict[str, object]:
        """Return every setting as JSON can carry it, without the credentials."""
        shown: dict[str, object] = {f.name: getattr(self, f.name) for f in fields(self)}
        del shown["user"], shown["password"]
        if self.allowed_addresses is not None:
            shown["allowed_addresses"] = sorted(self.allowed_addresses)
        shown["templates"] = dict(self.templates)
        return shown


def _templates(value: object) -> Mapping[str, str]:
    if not isinstance(value, dict):
        raise WrongJsonError("must be an object of texts by id")
    return MappingProxyType({text(key): text(body) for key, body in value.items()})


_READERS: Final[dict[str, Callable[[object], object]]] = {
    "allowed_addresses": optional(lambda value: frozenset(list_of(text)(value))),
    "contracted_messages": optional(whole),
    "long_sms": switch,
    "titles_enabled": switch,
    "templates": _templates,
    "requests_per_second": whole,
    "window": one_of("sliding", "fixed"),
    "refusals_count": switch,
    "http_status_style": one_of("code", "always_200"),
    "body_style": one_of("text", "json", "html"),
    "text_required_without_sms": switch,
    "keep_alive_s": seconds,
    "slow_answer_s": seconds,
    "hold_open_s": seconds,
    "early_report_wait_s": seconds,
    "report_url": optional(web_address),
    "report_method": one_of("POST", "GET"),
    "status_style": one_of("number", "name"),
    "report_time_factor": seconds,
    "report_copies": whole,
    "report_order": one_of("as_they_happen", "reversed", "shuffled"),
    "report_retries": whole,
    "report_retry_after_s": seconds,
    "report_timeout_s": seconds,
    "ivr_url": optional(web_address),
    "ivr_method": one_of("POST", "GET"),
    "ivr_number_style": one_of("as_asked", "plus_81", "hyphens"),
    "ivr_with_smsid": switch,
    "ivr_copies": whole,
    "ivr_after_s": seconds,
    "default_holding_minutes": whole,
    "holding_zero": one_of("closed", "no_end"),
    "authcode_digits": whole,
    "authcode_in": one_of("reports_after_reading", "every_report"),
    "ring_s": seconds,
    "call_again_after_s": seconds,
}
