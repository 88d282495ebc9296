"""Submit a verification to MediaSMS' SMS送信/IVR認証 API: by telephone (methods 2, 4, 5), or as a code's SMS."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from switchboard.domain.errors import ConfigurationError, FieldProblem, InvalidRequestError
from switchboard.domain.phone_numbers import NumberKind, PhoneNumber
from switchboard.domain.sms.messages import SmsContent, SmsSubmission
from switchboard.domain.verification.callbacks import VerificationMode
from switchboard.domain.verification.verifications import VerificationLines, VerificationSubmission
from switchboard.ports.providers import Receipt
from switchboard.providers.mediasms.client import MediaSmsClient, PreparedRequest, rename_fields
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
"""A placeholder for the text that the document requires and no phone receives."""

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
"""Methods that send no SMS. It is unknown whether 6 and 7 do, so that they never get the placeholder text."""


class MediaSmsVerifications:
    """The ports.Submitter for a VerificationSubmission or the SMS of a code, over the client that sends SMS.

    Delivery reports are always requested: only they carry the code that CALL_OUT reads out. The document makes the text
    mandatory without exception. `unsent_text` is therefore sent with CALL_IN and CALL_OUT if the caller gave no text.
    None leaves it out. `long_text` is the contract's long-text option.

    Set `methods` and `allow_undocumented_methods` only for an account to which the provider has explained method 6 or
    7. For these methods only the forms of the parameters are checked.
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

    def prepare(self, submission: VerificationSubmission | SmsSubmission) -> PreparedRequest:
        """Measure the text and encode the form, without I/O.

        Raises:
            InvalidRequestError: the document does not allow the submission. The fields have our own names.
        """
        if isinstance(submission, SmsSubmission):
            return self._client.prepare(submission)
        with rename_fields(_OUR_NAMES):
            return self._client.prepare_request(self._build_request(submission), operation="start_verification")

    def open(self) -> None:
        """Read the credentials and open a usable connection. Errors of the credentials pass through.

        Raises:
            NotSentError: MediaSMS cannot be reached.
        """
        self._client.open()

    def submit(self, prepared: PreparedRequest) -> Receipt:
        """Submit once.

        Raises:
            ProviderError: MediaSMS did not accept the request, or its outcome is unknown.
        """
        return self._client.submit(prepared)

    def _build_request(self, submission: VerificationSubmission) -> MediaSmsRequest:
        recipient, content = PhoneNumber(e164=submission.recipient), submission.content or _NO_CONTENT
        method, problems = self._methods[submission.mode], _find_conflicts(submission, recipient, content)
        try:
            request = MediaSmsRequest(
                mobilecareer=_LINES[submission.lines],
                mobilenumber=recipient.national,
                smstitle=content.sender,
                smstextid=content.template_id,
                smstext=self._choose_text(method, content),
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

    def _choose_text(self, method: int, content: SmsContent) -> str | None:
        has_content = any(part is not None for part in (content.text, content.text_au, content.template_id))
        return content.text if has_content or method not in _METHODS_WITHOUT_SMS else self._unsent_text


def _find_conflicts(
    submission: VerificationSubmission, recipient: PhoneNumber, content: SmsContent
) -> list[FieldProblem]:
    """Find the problems that the parameters' forms do not show."""
    problems = []
    if submission.lines is VerificationLines.FIXED and recipient.kind is not NumberKind.FIXED:
        problems.append(FieldProblem("lines", "is for fixed lines only, and the number is not one", "conflict"))
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
