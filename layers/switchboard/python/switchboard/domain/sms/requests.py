"""Compose an SMS from a caller's request: check number, text and carrier together, before any I/O.

The preflight checks that a text arrives whole, and reports each problem with its position if it does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Final, Literal

from switchboard.domain.errors import FieldProblem, InvalidRequestError
from switchboard.domain.phone_numbers import NumberKind, PhoneNumber, check_sms_recipient, parse_phone_number
from switchboard.domain.sms.messages import SmsContent, TextMeasure
from switchboard.domain.sms.texts import (
    DOMESTIC_CARRIERS,
    MAX_CODE_POINTS,
    Carrier,
    CarrierView,
    Measure,
    RefusalCode,
    RefusedCharacter,
    Unit,
    apply_carrier_rules,
    measure,
    normalise,
    refused_characters,
)

MAX_PROBLEMS: Final = 20
"""The number of problems that are reported one by one. The others are only counted."""

TextField = Literal["text", "text_au"]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class TextProblem:
    """One reason not to send a text.

    `code` is a RefusalCode, or `empty`, `too_long`, `text_au_not_applicable`, `more_problems`. `position` is a 0-based
    code point index in the field as the caller sent it.
    """

    code: str
    message: str
    character: str | None = None
    position: int | None = None
    field: TextField = "text"

    def as_json(self) -> dict[str, object]:
        """Return the problem in the API's form.

        Nothing is null, `field` is left out if it is `text`, and a lone surrogate becomes `?`.
        """
        members: dict[str, object] = {"code": self.code, "message": self.message}
        if self.character is not None:
            members["character"] = self.character.encode("utf-8", "replace").decode("utf-8")
        if self.position is not None:
            members["position"] = self.position
        if self.field != "text":
            members["field"] = self.field
        return members


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    """The result of the check of a text.

    `fits` means that the text arrives whole at every carrier that may deliver it. `characters` (UTF-16 units, a newline
    as two), `bytes_sjis`, `parts` and `limit` are those of `text`. `limit` is the strictest of these carriers' limits:
    in bytes if au's short rule is the only one, else in characters. `problems` are the first MAX_PROBLEMS of
    `problem_count`.
    """

    characters: int
    bytes_sjis: int
    parts: int
    limit: int
    fits: bool
    carriers: Mapping[Carrier, CarrierView]
    problems: tuple[TextProblem, ...]
    problem_count: int

    def as_json(self) -> dict[str, object]:
        """Return the API's answer to `dry_run`. One last problem, `more_problems`, stands for those left out."""
        return {
            "characters": self.characters,
            "bytes_sjis": self.bytes_sjis,
            "parts": self.parts,
            "limit": self.limit,
            "fits": self.fits,
            "carriers": {carrier.value: asdict(view) for carrier, view in self.carriers.items()},
            "problems": [problem.as_json() for problem in self._list_problems()],
        }

    def field_problems(self) -> tuple[FieldProblem, ...]:
        """Return the same problems for an InvalidRequestError. They name code points and never quote the text."""
        return tuple(
            FieldProblem(field=problem.field, message=problem.message, code=problem.code)
            for problem in self._list_problems()
        )

    def _list_problems(self) -> tuple[TextProblem, ...]:
        omitted = self.problem_count - len(self.problems)
        if not omitted:
            return self.problems
        return (*self.problems, TextProblem(code="more_problems", message=f"{omitted} more problem(s), not listed"))


def preflight(
    text: str, *, long_sms: bool = False, carrier: Carrier | None = None, text_au: str | None = None
) -> Preflight:
    """Measure `text`, and au's own text (`smstext2`), against the document's limits. No string raises an error.

    `carrier` None means that any domestic carrier may deliver the text, so it must fit all four. `text_au` has a
    meaning only with `long_sms` and in Japan, where au delivers it instead of `text`. Otherwise `text_au` is a problem.
    If au is named as the carrier, both texts must fit au. A text above MAX_CODE_POINTS is `too_long` unexamined, and
    its counts are its length in code points.
    """
    common = _examine(text, field="text")
    for_au = None if text_au is None else _examine(text_au, field="text_au")
    au_gets_other_text = for_au is not None and long_sms and carrier is not Carrier.OVERSEAS

    carriers = (Carrier.OVERSEAS,) if carrier is Carrier.OVERSEAS else DOMESTIC_CARRIERS
    views = common.views(carriers, long_sms=long_sms)
    if carrier:
        common_views = [views[carrier]]
    else:
        common_views = [view for member, view in views.items() if member is not Carrier.AU or not au_gets_other_text]
    problems = common.length_problems(common_views)
    sent_texts = [common]
    if for_au is not None and au_gets_other_text:
        views |= for_au.views([Carrier.AU], long_sms=long_sms)
        problems += for_au.length_problems([views[Carrier.AU]])
        sent_texts.append(for_au)
    elif for_au is not None:
        problems.append(_TEXT_AU_NOT_APPLICABLE)
    problem_count = len(problems) + sum(examined.refusal_count for examined in sent_texts)
    problems += [problem for examined in sent_texts for problem in examined.refusals]
    return Preflight(
        characters=common.measure.characters,
        bytes_sjis=common.measure.bytes_sjis,
        parts=max(view.parts for view in common_views),
        limit=min(view.limit for view in common_views),
        fits=not problems,
        carriers=views,
        problems=tuple(problems[:MAX_PROBLEMS]),
        problem_count=problem_count,
    )


_TEXT_AU_NOT_APPLICABLE: Final = TextProblem(
    code="text_au_not_applicable",
    message="needs the long-text option and a recipient in Japan",
    field="text_au",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _ExaminedText:
    """One text with everything about it that is the same for every carrier.

    `refusals` are the first MAX_PROBLEMS of `refusal_count`.
    """

    field: TextField
    measure: Measure
    blank: bool
    refusals: tuple[TextProblem, ...]
    refusal_count: int

    def views(self, carriers: Iterable[Carrier], *, long_sms: bool) -> dict[Carrier, CarrierView]:
        """Apply each carrier's rule."""
        sendable = not self.blank and not self.refusal_count
        return apply_carrier_rules(carriers, self.measure, long_sms=long_sms, sendable=sendable)

    def length_problems(self, views: Sequence[CarrierView]) -> list[TextProblem]:
        """Return one problem if the text is blank or exceeds the strictest of these carriers' limits, else none."""
        if self.blank:
            return [TextProblem(code="empty", message="is empty or holds only white space", field=self.field)]
        exceeded = [view for view in views if view.used > view.limit]
        if not exceeded:
            return []
        worst = min(exceeded, key=lambda view: view.limit)
        message = f"uses {worst.used} of {worst.limit} {_UNIT_NAMES[worst.unit]}"
        return [TextProblem(code="too_long", message=message, field=self.field)]


_UNIT_NAMES: Final[Mapping[Unit, str]] = {
    "characters": "characters (a newline is two)",
    "bytes_sjis": "bytes in Shift_JIS (a newline is two)",
    "gsm_characters": "characters of the GSM alphabet (a newline and each of ^{}[]~|\\ are two)",
}


def _examine(text: str, *, field: TextField) -> _ExaminedText:
    if len(text) > MAX_CODE_POINTS:
        unexamined = Measure(characters=len(text), bytes_sjis=len(text), is_ascii=False, gsm_characters=None)
        return _ExaminedText(field=field, measure=unexamined, blank=False, refusals=(), refusal_count=0)
    clean = normalise(text)
    refused = refused_characters(text)
    refusals = tuple(_describe_refusal(character, field) for character in islice(refused, MAX_PROBLEMS))
    return _ExaminedText(
        field=field,
        measure=measure(clean),
        blank=not clean.strip(),
        refusals=refusals,
        refusal_count=len(refusals) + sum(1 for _ in refused),
    )


def _describe_refusal(refused: RefusedCharacter, field: TextField) -> TextProblem:
    code_points = " ".join(f"U+{ord(code_point):04X}" for code_point in refused.character)
    return TextProblem(
        code=refused.code,
        message=f"{code_points} at position {refused.position} {_REFUSALS[refused.code]}",
        character=refused.character,
        position=refused.position,
        field=field,
    )


_REFUSALS: Final[Mapping[RefusalCode, str]] = {
    RefusalCode.CONTROL_CHARACTER: "is a control character",
    RefusalCode.NEC_SPECIAL_CHARACTER: "is a NEC special character, which depends on the phone",
    RefusalCode.IBM_EXTENSION_CHARACTER: "is an IBM extension character, which depends on the phone",
    RefusalCode.GAIJI: "is a user-defined character (gaiji)",
    RefusalCode.EMOJI: "is an emoji or part of one",
    RefusalCode.LONE_SURROGATE: "is half of a surrogate pair",
    RefusalCode.NOT_IN_SHIFT_JIS: "does not exist in Shift_JIS",
}
