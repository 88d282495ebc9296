"""Write turns as plain text for people, and name the speakers in the language of the conversation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from switchboard.domain.recording.facts import Role
from switchboard.domain.recording.turns import Turn

_ENGLISH: Final = MappingProxyType({Role.CUSTOMER: "Customer", Role.OPERATOR: "Operator", Role.MIXED: "Speaker"})
_NAMES: Final[Mapping[str, Mapping[Role, str]]] = MappingProxyType(
    {
        "ja": MappingProxyType({Role.CUSTOMER: "顧客", Role.OPERATOR: "オペレーター", Role.MIXED: "話者"}),
        "zh": MappingProxyType({Role.CUSTOMER: "客户", Role.OPERATOR: "客服", Role.MIXED: "说话人"}),
    }
)


def name_speaker(turn: Turn, *, language: str) -> str:
    """Return the speaker's name: the recogniser's label if there is one, otherwise the role in `language`.

    `language` is a tag such as `ja-JP`. Every language other than Japanese and Chinese gets English names.
    """
    return turn.speaker or _NAMES.get(language.partition("-")[0].lower(), _ENGLISH)[turn.role]


def to_plain_text(turns: Sequence[Turn], *, language: str) -> str:
    """Write each turn as a line `[hh:mm:ss] name: text`, ended by LF. A backchannel stands in parentheses."""
    return "".join(_write_line(turn, language) for turn in turns)


def _write_line(turn: Turn, language: str) -> str:
    minutes, seconds = divmod(turn.start_ms // 1000, 60)
    text = " ".join(turn.text.split())
    if turn.backchannel:
        text = f"({text})"
    return f"[{minutes // 60:02}:{minutes % 60:02}:{seconds:02}] {name_speaker(turn, language=language)}: {text}\n"
