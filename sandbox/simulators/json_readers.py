"""Readers of decoded JSON: each returns its value, typed, or raises WrongJsonError saying what it must be."""

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")


class WrongJsonError(ValueError):
    """A value that the control interface cannot use. The text says why, without repeating the value."""


def read_text(value: object) -> str:
    """Return `value` if it is a string, else raise WrongJsonError."""
    if not isinstance(value, str):
        raise WrongJsonError("must be a string")
    return value


def read_whole_number(value: object) -> int:
    """Return `value` if it is a whole number of at least 0, else raise WrongJsonError."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise WrongJsonError("must be a whole number of at least 0")
    return value


def read_seconds(value: object) -> float:
    """Return `value` if it is a number of at least 0, else raise WrongJsonError."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < float("inf"):
        raise WrongJsonError("must be a number of at least 0")
    return float(value)


def read_switch(value: object) -> bool:
    """Return `value` if it is true or false, else raise WrongJsonError."""
    if not isinstance(value, bool):
        raise WrongJsonError("must be true or false")
    return value


def read_web_address(value: object) -> str:
    """Return `value` if it is an http or https address, else raise WrongJsonError."""
    parts = urlsplit(read_text(value))
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise WrongJsonError("must be an http or https address")
    return read_text(value)


def list_reader(reader: Callable[[object], T]) -> Callable[[object], list[T]]:
    """Return a reader of a list whose items `reader` reads."""

    def read(value: object) -> list[T]:
        if not isinstance(value, list):
            raise WrongJsonError("must be a list")
        return [reader(item) for item in value]

    return read


def mapping_reader(
    reader: Callable[[object], T], *, called: str, names: Collection[str] | None = None
) -> Callable[[object], Mapping[str, T]]:
    """Return a reader of an object whose values `reader` reads.

    Args:
        reader: reads a value.
        called: what such an object holds, for the error's text.
        names: the only names that the object may have; None allows any.
    """

    def read(value: object) -> Mapping[str, T]:
        if not isinstance(value, dict) or (names is not None and not value.keys() <= set(names)):
            raise WrongJsonError(f"must be an object of {called}")
        return MappingProxyType({read_text(name): reader(member) for name, member in value.items()})

    return read


def choice_reader(*allowed: T) -> Callable[[object], T]:
    """Return a reader that takes only the `allowed` values."""

    def read(value: object) -> T:
        for choice in allowed:
            if choice == value:
                return choice
        raise WrongJsonError(f"must be one of {', '.join(map(str, allowed))}")

    return read


def optional_reader(reader: Callable[[object], T]) -> Callable[[object], T | None]:
    """Return a reader that takes null too."""
    return lambda value: None if value is None else reader(value)
