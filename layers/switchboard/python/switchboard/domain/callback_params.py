"""Holds the parameters of one callback, and tells which values a provider's parser may rely on.

Only a name that decides can make a callback unreadable. Each parser asks `find_only` for its deciding names and
`find_first` for all others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from switchboard.domain.errors import WebhookUnreadableError

# A decoder or a gateway puts this character for bytes that it cannot read.
_REPLACEMENT_CHARACTER: Final = "\ufffd"
# What senders put before a name by mistake: blanks, a byte order mark, a query's `?`, the rest of an HTML `&amp;`.
_NAME_PREFIX: Final = re.compile(r"\A(?:[\s?\ufeff]|amp;)+")
# PHP marks a list so.
_LIST_MARK: Final = re.compile(r"\[[0-9]*\]\Z")


@dataclass(frozen=True, slots=True)
class CallbackParams:
    """Every value of each name, in the order in which they came. Names are read in any case.

    None stands for a value that is no text, such as a JSON object.
    """

    values: Mapping[str, tuple[str | None, ...]]

    @classmethod
    def from_pairs(cls, pairs: Iterable[tuple[str, str | None]]) -> CallbackParams:
        """Build the parameters from names and values as they stand in the callback."""
        values: dict[str, list[str | None]] = {}
        for name, value in pairs:
            values.setdefault(_normalise_name(name), []).append(value)
        return cls({name: tuple(texts) for name, texts in values.items()})

    def find_only(self, name: str, *, read: Callable[[str], str] = str) -> str:
        """Return the value of a name that decides, or an empty text if it is absent or empty.

        The same value may come several times. `read` turns equal spellings into one value.

        Raises:
            WebhookUnreadableError: a value is unreadable, or two values differ. The message is a code in snake_case.
        """
        if self.is_unreadable(name):
            raise WebhookUnreadableError(f"{_normalise_name(name)}_unreadable")
        values = {read(text) for text in self.find_all(name)} - {""}
        if len(values) > 1:
            raise WebhookUnreadableError(f"{_normalise_name(name)}_ambiguous")
        return values.pop() if values else ""

    def find_first(self, name: str) -> str:
        """Return the first readable value of a name that decides nothing, or an empty text if it has none."""
        texts = self.find_all(name)
        return next((text for text in texts if _REPLACEMENT_CHARACTER not in text), texts[0] if texts else "")

    def find_all(self, name: str) -> list[str]:
        """Return the texts of a name without surrounding white space, each once, and no empty ones."""
        stripped = (value.strip() for value in self._values_of(name) if value is not None)
        return list(dict.fromkeys(text for text in stripped if text))

    def is_unreadable(self, name: str) -> bool:
        """Return whether a value of this name is no text, or could not be decoded as a whole."""
        return any(value is None or _REPLACEMENT_CHARACTER in value for value in self._values_of(name))

    def _values_of(self, name: str) -> tuple[str | None, ...]:
        return self.values.get(_normalise_name(name), ())


def _normalise_name(name: str) -> str:
    return _LIST_MARK.sub("", _NAME_PREFIX.sub("", name).rstrip()).rstrip().lower()
