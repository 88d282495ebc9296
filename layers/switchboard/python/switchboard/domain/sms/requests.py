"""Compose an SMS from a caller's request: check number, text and carrier together, before any I/O."""

from __future__ import annotations

from dataclasses import dataclass

from switchboard.domain.errors import FieldProblem, InvalidRequestError
from switchboard.domain.phone_numbers import NumberKind, PhoneNumber, check_sms_recipient, parse_phone_number
from switchboard.domain.sms.carriers import Carrier
from switchboard.domain.sms.messages import SmsContent, TextMeasure
from switchboard.domain.sms.preflight import Preflight, preflight
from switchboard.domain.sms.shift_jis import normalise


@dataclass(frozen=True, slots=True)
class SmsRules:
    """The limits of this deployment's contract with the provider.

    A number outside Japan must begin with one of `overseas_prefixes` (`+` and digits).
    """

    long_sms: bool = False
    overseas_prefixes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SmsRequest:
    """One SMS as the caller requests it, unchecked."""

    to: str
    text: str | None = None
    text_au: str | None = None
    template_id: str | None = None
    sender: str | None = None
    carrier: Carrier | None = None


@dataclass(frozen=True, slots=True)
class ComposedSms:
    """A request with a usable number and complete content.

    `preflight` is None for a template, because only the provider knows its text. Otherwise it decides about the text.
    """

    recipient: PhoneNumber
    content: SmsContent
    preflight: Preflight | None

    @property
    def fits(self) -> bool:
        """True if no known problem forbids sending the text."""
        return self.preflight is None or self.preflight.fits

    @property
    def measure(self) -> TextMeasure | None:
        """The size of the text, or None for a template."""
        if self.preflight is None:
            return None
        return TextMeasure(self.preflight.characters, self.preflight.bytes_sjis, self.preflight.parts)


def compose(request: SmsRequest, *, rules: SmsRules) -> ComposedSms:
    """Check a request and compose it for the provider.

    Raises:
        InvalidRequestError: with every problem except those of the text, which are in `preflight`.
    """
    problems = _find_content_problems(request)
    recipient = None
    try:
        recipient = parse_phone_number(request.to)
        check_sms_recipient(recipient, overseas_prefixes=rules.overseas_prefixes)
    except InvalidRequestError as error:
        problems += error.problems
    carrier = request.carrier
    if recipient is not None:
        overseas = recipient.kind is NumberKind.OVERSEAS
        if overseas and carrier is None:
            carrier = Carrier.OVERSEAS
        if overseas != (carrier is Carrier.OVERSEAS):
            problems.append(FieldProblem("carrier", "does not serve the country of this number", "carrier_mismatch"))
    if problems or recipient is None:
        raise InvalidRequestError(*problems)
    return ComposedSms(
        recipient=recipient,
        content=SmsContent(
            text=None if request.text is None else normalise(request.text),
            text_au=None if request.text_au is None else normalise(request.text_au),
            template_id=request.template_id,
            sender=request.sender,
            carrier=carrier,
        ),
        preflight=_check_text(request, carrier=carrier, rules=rules),
    )


def _find_content_problems(request: SmsRequest) -> list[FieldProblem]:
    if request.template_id is None and request.text is None:
        return [FieldProblem("text", "is required unless template_id is given", "required")]
    if request.template_id is not None and request.text is not None:
        return [FieldProblem("template_id", "cannot be combined with text", "exclusive")]
    if request.template_id is not None and request.text_au is not None:
        return [FieldProblem("text_au", "cannot be combined with template_id", "exclusive")]
    return []


def _check_text(request: SmsRequest, *, carrier: Carrier | None, rules: SmsRules) -> Preflight | None:
    if request.text is None:
        return None
    return preflight(request.text, long_sms=rules.long_sms, carrier=carrier, text_au=request.text_au)
