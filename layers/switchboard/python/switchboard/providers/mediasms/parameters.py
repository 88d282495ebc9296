"""The parameters of MediaSMS' SMS送信/IVR認証 API, valid by construction: the document's table but for その他."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import InitVar, dataclass, field, fields
from typing import Final

from switchboard.domain.errors import FieldProblem, InvalidRequestError
from switchboard.domain.order_ids import ORDER_ID
from switchboard.domain.sms.requests import preflight
from switchboard.domain.sms.texts import Carrier

CARRIER_DIGITS: Final = {
    Carrier.DOCOMO: "1",
    Carrier.SOFTBANK: "2",
    Carrier.AU: "3",
    Carrier.YMOBILE: "4",
    Carrier.OVERSEAS: "c",
}
FIXED_LINES: Final = "a"
ANY_LINES: Final = "b"
OVERSEAS: Final = CARRIER_DIGITS[Carrier.OVERSEAS]

SMS_ONLY: Final = 1
SMS_AND_CALL_IN: Final = 2
CALL_IN: Final = 4
CALL_OUT: Final = 5

IVR_METHODS: Final = frozenset({SMS_AND_CALL_IN, CALL_IN, CALL_OUT})
UNDOCUMENTED_METHODS: Final = frozenset({6, 7})
"""Methods that the document names as valid without giving them a meaning."""

_CARRIERS: Final = {digit: carrier for carrier, digit in CARRIER_DIGITS.items()}
_TEXT_FIELDS: Final = {"text": "smstext", "text_au": "smstext2"}
_MOBILE: Final = re.compile(r"(?:090|080|070|060|020)[0-9]{8}")
_FIXED: Final = re.compile(r"0[1-9][0-9]{8}")
_WITH_COUNTRY_CODE: Final = re.compile(r"[1-9][0-9]{10,14}")  # E.164 ends at 15 digits
_SENDER: Final = re.compile(r"(?![0-9]*$)[A-Za-z0-9]{2,11}")
_LINE: Final = re.compile(r"050[0-9]{8}")
_DIGITS: Final = re.compile(r"[0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSmsRequest:
    """One request, under the document's own names and in its order (section SMS送信/IVR認証API, パラメータ群).

    `long_text` says that the contract has the long-text option. `allow_undocumented_methods` lets 6 and 7 pass: of them
    only the limits of the parameters are checked.

    The document calls the text mandatory and makes no exception for requests that send no SMS (methods 4 and 5). A text
    that no phone would receive is not required here, and is passed on if there is one.

    Raises:
        InvalidRequestError: with one FieldProblem for each thing that is wrong. None of them repeats a value.
    """

    mobilecareer: str | None = None
    mobilenumber: str = field(repr=False)
    smstitle: str | None = None
    smstextid: str | None = None
    smstext: str | None = field(default=None, repr=False)
    smstext2: str | None = field(default=None, repr=False)
    status: int | None = None
    smsid: str | None = None
    method: int | None = None
    ipphone: str | None = None
    holdingtime: int | None = None
    repeatcall: int | None = None
    long_text: InitVar[bool] = False
    allow_undocumented_methods: InitVar[bool] = False

    def __post_init__(self, long_text: bool, allow_undocumented_methods: bool) -> None:
        problems = [
            *self._check_forms(),
            *self._check_method(allow_undocumented=allow_undocumented_methods),
            *self._check_number(),
            *self._check_text(long_text=long_text),
            *self._check_required(),
        ]
        if problems:
            raise InvalidRequestError(*problems)

    def form_fields(self) -> list[tuple[str, str]]:
        """Return the parameters that have a value, in the document's order."""
        values = ((parameter.name, getattr(self, parameter.name)) for parameter in fields(self))
        return [(name, str(value)) for name, value in values if value is not None]

    def _check_forms(self) -> Iterator[FieldProblem]:
        for name, (is_valid, message) in _FORMS.items():
            value = getattr(self, name)
            if value is not None and not is_valid(value):
                yield FieldProblem(field=name, message=message)

    def _check_method(self, *, allow_undocumented: bool) -> Iterator[FieldProblem]:
        if self.method in UNDOCUMENTED_METHODS and not allow_undocumented:
            yield FieldProblem(
                field="method", message="names a method without a documented meaning", code="not_allowed"
            )
        if self.method == CALL_OUT and self.mobilecareer == OVERSEAS:
            yield FieldProblem(field="mobilecareer", message="cannot be c with method 5", code="conflict")
        if self.mobilecareer in (FIXED_LINES, ANY_LINES) and self.method in (None, SMS_ONLY):
            yield FieldProblem(
                field="mobilecareer",
                message="a and b are for verification by telephone only",
                code="conflict",
            )

    def _check_number(self) -> Iterator[FieldProblem]:
        number = self.mobilenumber
        if self.mobilecareer == OVERSEAS:
            form, message = _WITH_COUNTRY_CODE, "must be at least 11 digits beginning with the country code"
            if number.startswith("81"):
                yield FieldProblem(field="mobilenumber", message="is not overseas", code="conflict")
        elif self.mobilecareer in (FIXED_LINES, ANY_LINES) and _FIXED.fullmatch(number):
            return
        else:
            form, message = _MOBILE, "must be 11 digits beginning with 090, 080, 070, 060 or 020"
        if not form.fullmatch(number):
            yield FieldProblem(field="mobilenumber", message=message)

    def _check_text(self, *, long_text: bool) -> Iterator[FieldProblem]:
        if self.smstextid is not None:
            for name in ("smstext", "smstext2"):
                if getattr(self, name) is not None:
                    yield FieldProblem(field=name, message="cannot be used together with smstextid", code="conflict")
        elif self.smstext is not None:
            result = preflight(
                self.smstext,
                long_sms=long_text,
                carrier=_CARRIERS.get(self.mobilecareer or ""),
                text_au=self.smstext2,
            )
            for problem in result.field_problems():
                yield FieldProblem(field=_TEXT_FIELDS[problem.field], message=problem.message, code=problem.code)
        elif self.smstext2 is not None:
            yield _build_required_problem("smstext", "is required if smstext2 is given")
        elif self.method in (None, SMS_ONLY, SMS_AND_CALL_IN):
            yield _build_required_problem("smstext", "or smstextid is required to send an SMS")

    def _check_required(self) -> Iterator[FieldProblem]:
        if self.status == 1 and self.smsid is None:
            yield _build_required_problem("smsid", "is required for delivery reports (status 1)")
        if self.method in IVR_METHODS and self.ipphone is None:
            yield _build_required_problem("ipphone", "is required for verification by telephone")
        if self.method == CALL_OUT:
            for name in ("holdingtime", "repeatcall"):
                if getattr(self, name) is None:
                    yield _build_required_problem(name, "is required with method 5")


def _build_required_problem(name: str, message: str) -> FieldProblem:
    return FieldProblem(field=name, message=message, code="required")


def _match_pattern(pattern: re.Pattern[str]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and bool(pattern.fullmatch(value))


def _match_range(low: int, high: int) -> Callable[[object], bool]:
    return lambda value: type(value) is int and low <= value <= high


_FORMS: Final[dict[str, tuple[Callable[[object], bool], str]]] = {
    "mobilecareer": (_match_pattern(re.compile("[1-4abc]")), "must be one of 1, 2, 3, 4, a, b, c"),
    "smstitle": (_match_pattern(_SENDER), "must be 2 to 11 letters and digits, with a letter among them"),
    "smstextid": (_match_pattern(_DIGITS), "must be digits"),
    "status": (_match_range(0, 1), "must be 0 or 1"),
    "smsid": (_match_pattern(ORDER_ID), "must be 1 to 50 letters and digits"),
    "method": (
        lambda value: type(value) is int and value in {SMS_ONLY, *IVR_METHODS, *UNDOCUMENTED_METHODS},
        "must be one of 1, 2, 4, 5, 6, 7",
    ),
    "ipphone": (_match_pattern(_LINE), "must be 11 digits beginning with 050"),
    "holdingtime": (_match_range(0, 999), "must be 0 to 999 minutes"),
    "repeatcall": (_match_range(0, 99), "must be 0 to 99"),
}
