"""Says before sending whether an SMS text arrives whole, and if not, what is wrong with it and where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Final, Literal

from switchboard.domain.errors import FieldProblem
from switchboard.domain.sms.carriers import DOMESTIC_CARRIERS, Carrier
from switchboard.domain.sms.length_limits import CarrierView, Measure, Unit, measure, view_for
from switchboard.domain.sms.shift_jis import (
    MAX_CODE_POINTS,
    RefusalCode,
    RefusedCharacter,
    normalise,
    refused_characters,
)

MAX_PROBLEMS: Final = 20
"""So many problems are spelled out; the rest is a number."""

TextField = Literal["text", "text_au"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TextProblem:
    """One reason not to send. `position` is a 0-based code point index in that field as the caller gave it.

    `code` is a RefusalCode, or `empty`, `too_long`, `text_au_not_applicable`, `more_problems`.
    """

    code: str
    message: str
    character: str | None = None
    position: int | None = None
    field: TextField = "text"

    def as_json(self) -> dict[str, object]:
        """As the API shows it: nothing null, `field` only where it is not `text`, `?` for a lone surrogate."""
        shown: dict[str, object] = {"code": self.code, "message": self.message}
        if self.character is not None:
            shown["character"] = self.character.encode("utf-8", "replace").decode("utf-8")
        if self.position is not None:
            shown["position"] = self.position
        if self.field != "text":
            shown["field"] = self.field
        return shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    """What would become of a text. `fits` means that it may be sent: whole, to every carrier that may get it.

    `characters` (UTF-16 units, a newline as two), `bytes_sjis`, `parts` and `limit` are those of `text`; `limit`
    is the strictest of the carriers in question (bytes where only au's short rule is, else characters).
    `problems` are the first MAX_PROBLEMS of `problem_count`.
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
        """The API's answer to `dry_run`; the problems left out become one last one, `more_problems`."""
        return {
            "characters": self.characters,
            "bytes_sjis": self.bytes_sjis,
            "parts": self.parts,
            "limit": self.limit,
            "fits": self.fits,
            "carriers": {carrier.value: asdict(view) for carrier, view in self.carriers.items()},
            "problems": [problem.as_json() for problem in self._told()],
        }

    def field_problems(self) -> tuple[FieldProblem, ...]:
        """The same problems for an InvalidRequestError. They name code points and never quote the text."""
        return tuple(FieldProblem(field=each.field, message=each.message, code=each.code) for each in self._told())

    def _told(self) -> tuple[TextProblem, ...]:
        untold = self.problem_count - len(self.problems)
        if not untold:
            return self.problems
        return (*self.problems, TextProblem(code="more_problems", message=f"and {untold} more"))


def preflight(
    text: str, *, long_sms: bool = False, carrier: Carrier | None = None, text_au: str | None = None
) -> Preflight:
    """Measure `text`, and au's own (`smstext2`), against the document's limits. Raises nothing for any string.

    `carrier` None means that any domestic carrier may get it, so it must fit all four. `text_au` has a meaning
    only with `long_sms` and in Japan, and is a problem otherwise; au then gets it instead of `text`. Where au is
    named as the carrier, both must fit au. A text above MAX_CODE_POINTS is `too_long` unexamined, its counts
    being its length as given.
    """
    body = _examine(text, field="text")
    own = None if text_au is None else _examine(text_au, field="text_au")
    au_gets_own = own is not None and long_sms and carrier is not Carrier.OVERSEAS

    shown = (Carrier.OVERSEAS,) if carrier is Carrier.OVERSEAS else DOMESTIC_CARRIERS
    views = {each: body.view(each, long_sms=long_sms) for each in shown}
    in_force = [views[carrier]] if carrier else [v for c, v in views.items() if c is not Carrier.AU or not au_gets_own]
    problems = body.problems_of_length(in_force)
    refused = [body]
    if own is not None and au_gets_own:
        views[Carrier.AU] = own.view(Carrier.AU, long_sms=long_sms)
        problems += own.problems_of_length([views[Carrier.AU]])
        refused.append(own)
    elif own is not None:
        problems.append(_TEXT_AU_NOT_APPLICABLE)
    problem_count = len(problems) + sum(each.refused_count for each in refused)
    problems += [problem for each in refused for problem in each.refused]
    return Preflight(
        characters=body.measure.characters,
        bytes_sjis=body.measure.bytes_sjis,
        parts=max(view.parts for view in in_force),
        limit=min(view.limit for view in in_force),
        fits=not problems,
        carriers=views,
        problems=tuple(problems[:MAX_PROBLEMS]),
        problem_count=problem_count,
    )


_TEXT_AU_NOT_APPLICABLE: Final = TextProblem(
    code="text_au_not_applicable",
    message="a text for au alone needs the long-text option and a recipient in Japan",
    field="text_au",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Examined:
    """One text with everything about it that no carrier changes."""

    field: TextField
    measure: Measure
    blank: bool
    refused: tuple[TextProblem, ...]
    refused_count: int

    def view(self, carrier: Carrier, *, long_sms: bool) -> CarrierView:
        sendable = not self.blank and not self.refused_count
        return view_for(carrier, self.measure, long_sms=long_sms, sendable=sendable)

    def problems_of_length(self, views: Sequence[CarrierView]) -> list[TextProblem]:
        """None or one: blank, or over the strictest of these carriers' limits."""
        if self.blank:
            return [TextProblem(code="empty", message="holds nothing but white space", field=self.field)]
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


def _examine(text: str, *, field: TextField) -> _Examined:
    if len(text) > MAX_CODE_POINTS:
        unexamined = Measure(characters=len(text), bytes_sjis=len(text), is_ascii=False, gsm_characters=None)
        return _Examined(field=field, measure=unexamined, blank=False, refused=(), refused_count=0)
    clean = normalise(text)
    refused = refused_characters(text)
    told = tuple(_problem(each, field) for each in islice(refused, MAX_PROBLEMS))
    return _Examined(
        field=field,
        measure=measure(clean),
        blank=not clean.strip(),
        refused=told,
        refused_count=len(told) + sum(1 for _ in refused),
    )


def _problem(refused: RefusedCharacter, field: TextField) -> TextProblem:
    code_points = " ".join(f"U+{ord(each):04X}" for each in refused.character)
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
