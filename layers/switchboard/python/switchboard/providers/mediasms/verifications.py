"""Submits a verification by telephone to MediaSMS' SMS送信/IVR認証 API (methods 2, 4 and 5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from switchboard.domain.errors import ConfigurationError, FieldProblem, InvalidRequestError
from switchboard.domain.phone_numbers import NumberKind, PhoneNumber
from switchboard.domain.sms.messages import SmsContent
from switchboard.domain.verification.verifications import VerificationLines, VerificationMode, VerificationSubmission
from switchboard.ports.providers import Receipt
from switchboard.providers.mediasms.client import MediaSmsClient, named
from switchboard.providers.mediasms.parameters import (
    ANY_LINES,
    CALL_IN,
    CALL_OUT,
    FIXED_LINES,
    SMS_AND_CALL_IN,
    UNDOCUMENTED_METHODS,
    MediaSmsRequest,
)

METHODS: Final[Mapping[VerificationMode, int]] = MappingProxyType(
    {
        VerificationMode.SMS_AND_CALL_IN: SMS_AND_CALL_IN,
        VerificationMode.CALL_IN: CALL_IN,
        VerificationMode.CALL_OUT: CALL_OUT,
    }
)

UNSENT_TEXT: Final = "verification"
"""Stands where the document wants a text and nobody gets one."""

_LINES: Final[Mapping[VerificationLines, str | None]] = {
    VerificationLines.MOBILE: None,
    VerificationLines.FIXED: FIXED_LINES,
    VerificationLines.ANY: ANY_LINES,
}
_OUR_NAMES: Final = {
    "mobilecareer": "lines",
    "mobilenumber": "to",
    "smstitle": "sender",
    "smstextid": "template_id",
    "smstext": "text",
    "smstext2": "text_au",
    "method": "mode",
    "ipphone": "line",
    "holdingtime": "holding_minutes",
    "repeatcall": "repeat_calls",
}
_NO_CONTENT: Final = SmsContent()
_METHODS_WITHOUT_SMS: Final = frozenset({CALL_IN, CALL_OUT})
"""Of 6 and 7 nobody knows it, so that they never get a text that no caller gave."""


class MediaSmsVerifications:
    """Implements ports.Submitter for a VerificationSubmission, over the client that sends SMS.

    Delivery reports are always asked for: they are the only bearer of the code that CALL_OUT reads out. The document
    makes the text mandatory and excepts nobody, so that `unsent_text` is sent with CALL_IN and CALL_OUT where the
    caller gave none; None leaves it out. `long_text` is the contract's long-text option. `methods` and
    `allow_undocumented_methods` are for an account for which the provider has said what 6 or 7 does: of such a
    method nothing but the parameters' forms is checked.
    """

    def __init__(
        self,
        *,
        client: MediaSmsClient,
        long_text: bool = False,
        unsent_text: str | None = UNSENT_TEXT,
        methods: Mapping[VerificationMode, int] = METHODS,
        allow_undocumented_methods: bool = False,
    ) -> None:
        self._client = client
        self._long_text = long_text
        self._unsent_text = unsent_text
        self._methods = methods
        self._allow_undocumented_methods = allow_undocumented_methods

    def check(self, submission: VerificationSubmission) -> None:
        """Raises InvalidRequestError, in our own field names, where the document does not take it. No I/O."""
        with named(_OUR_NAMES):
            self._client.check_request(self._request_for(submission))

    def open(self) -> None:
        """Has credentials and a usable connection ready. Raises NotSentError, and what the credentials raise."""
        self._client.open()

    def submit(self, submission: VerificationSubmission) -> Receipt:
        """Submits once. Raises InvalidRequestError like `check`, before anything is sent, and the ProviderError
        tree."""
        with named(_OUR_NAMES):
            request = self._request_for(submission)
            return self._client.request(request, operation="start_verification")

    def _request_for(self, submission: VerificationSubmission) -> MediaSmsRequest:
        recipient, content = PhoneNumber(e164=submission.recipient), submission.content or _NO_CONTENT
        method, problems = self._methods[submission.mode], _conflicts(submission, recipient, content)
        try:
            request = MediaSmsRequest(
                mobilecareer=_LINES[submission.lines],
                mobilenumber=recipient.national,
                smstitle=content.sender,
                smstextid=content.template_id,
                smstext=self._text_for(method, content),
                smstext2=content.text_au,
                status=1,
                smsid=submission.smsid,
                method=method,
                ipphone=submission.line,
                holdingtime=submission.holding_minutes,
                repeatcall=submission.repeat_calls,
                long_text=self._long_text,
                allow_undocumented_methods=self._allow_undocumented_methods,
            )
        except InvalidRequestError as error:
            raise InvalidRequestError(*problems, *error.problems) from None
        if problems:
            raise InvalidRequestError(*problems)
        return request

    def _text_for(self, method: int, content: SmsContent) -> str | None:
        given = any(each is not None for each in (content.text, content.text_au, content.template_id))
        return content.text if given or method not in _METHODS_WITHOUT_SMS else self._unsent_text


def _conflicts(submission: VerificationSubmission, recipient: PhoneNumber, content: SmsContent) -> list[FieldProblem]:
    """What the parameters' forms allow, and their meanings do not."""
    problems = []
    if submission.lines is VerificationLines.FIXED and recipient.kind is not NumberKind.FIXED:
        problems.append(FieldProblem("lines", "is for fixed lines only, and the number is none", "conflict"))
    if submission.repeat_calls is not None and submission.mode is not VerificationMode.CALL_OUT:
        problems.append(FieldProblem("repeat_calls", "is for call_out only", "conflict"))
    if content.carrier is not None:
        problems.append(FieldProblem("carrier", "cannot be chosen for a verification", "conflict"))
    return problems


def parse_methods(entries: Iterable[str], *, allow_undocumented: bool) -> dict[VerificationMode, int]:
    """Read entries `mode=method` as the `method` of each mode; a mode without an entry keeps the document's.

    Raises:
        ConfigurationError: an entry is something else, or names a method without a documented meaning although
            `allow_undocumented` is False.
    """
    methods: dict[VerificationMode, int] = dict(METHODS)
    for entry in entries:
        mode, _, method = entry.partition("=")
        try:
            methods[VerificationMode(mode)] = int(method)
        except ValueError:
            raise ConfigurationError("VERIFICATION_METHODS: each is a mode, = and a method's number") from None
    allowed = {*METHODS.values(), *(UNDOCUMENTED_METHODS if allow_undocumented else ())}
    if not set(methods.values()) <= allowed:
        raise ConfigurationError("VERIFICATION_METHODS: names a method that is none or is not allowed")
    return methods
