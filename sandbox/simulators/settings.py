"""Declares settings with a default and a reader of decoded JSON; a setting without a reader is a secret."""

from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any, ClassVar, Protocol, Self, TypeVar

from sandbox.simulators.json_readers import WrongJsonError, choice_reader, optional_reader

T = TypeVar("T")


class _Dataclass(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


def setting(reader: Callable[[object], T], *, default: T, repr: bool = True) -> T:  # noqa: A002
    """Return a dataclass field that `reader` reads from decoded JSON."""
    return field(default_factory=lambda: default, repr=repr, metadata={"reader": reader})


def address(reader: Callable[[object], str]) -> str | None:
    """Return a field for an address of the customer.

    Its default is None, it is left out of the `repr`, and a reset keeps it.
    """
    metadata = {"reader": optional_reader(reader), "is_address": True}
    return field(default=None, repr=False, metadata=metadata)


def choice(default: T, *others: T) -> T:
    """Return a field that is `default` or one of `others`."""
    return setting(choice_reader(default, *others), default=default)


def read_values(kind: type[_Dataclass], values: Mapping[str, object], *, called: str) -> dict[str, Any]:
    """Return `values`, decoded JSON, as the settings of `kind` take them; `called` names such a setting in errors.

    Raises:
        WrongJsonError: when a name is unknown or a value is of the wrong kind. Its text names the setting.
    """
    readers = {member.name: member.metadata["reader"] for member in fields(kind) if "reader" in member.metadata}
    settings: dict[str, Any] = {}
    for name, value in values.items():
        if name not in readers:
            raise WrongJsonError(f"no such {called}: {name}")
        try:
            settings[name] = readers[name](value)
        except (TypeError, ValueError) as problem:
            raise WrongJsonError(f"{name}: {problem}") from problem
    return settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The configuration of a simulator: credentials, and settings that a test or an operator can change."""

    def with_changes(self, changes: Mapping[str, object]) -> Self:
        """Return this configuration with `changes` (decoded JSON).

        Raises:
            ValueError: when a name is unknown or a value is of the wrong kind. Its text names the setting.
        """
        return replace(self, **read_values(type(self), changes, called="setting"))

    def with_addresses_of(self, other: Self) -> Self:
        """Return this configuration with the customer's addresses of `other`."""
        names = [member.name for member in fields(self) if member.metadata.get("is_address")]
        return replace(self, **{name: getattr(other, name) for name in names})

    def to_json(self) -> dict[str, object]:
        """Return every setting as JSON can carry it, without the credentials."""
        return {
            member.name: _value_to_json(getattr(self, member.name))
            for member in fields(self)
            if "reader" in member.metadata
        }


def _value_to_json(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    return sorted(value) if isinstance(value, frozenset) else value
