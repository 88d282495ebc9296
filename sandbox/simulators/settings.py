"""Settings that say beside their default how a control request writes them; one without a reader is a secret."""

from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any, ClassVar, Protocol, Self, TypeVar

from sandbox.simulators.json_readers import WrongJsonError, choice_reader, optional_reader

T = TypeVar("T")


class _Dataclass(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


def setting(reader: Callable[[object], T], *, default: T, repr: bool = True) -> T:  # noqa: A002
    """Return a dataclass's field that `reader` reads from decoded JSON."""
    return field(default_factory=lambda: default, repr=repr, metadata={"reader": reader})


def address(reader: Callable[[object], str]) -> str | None:
    """Return a field that says where the customer is: none unless set, in no text, and there to stay at a reset."""
    metadata = {"reader": optional_reader(reader), "is_address": True}
    return field(default=None, repr=False, metadata=metadata)


def choice(default: T, *others: T) -> T:
    """Return a field that is `default` or one of `others`."""
    return setting(choice_reader(default, *others), default=default)


def values_of(kind: type[_Dataclass], asked: Mapping[str, object], *, called: str) -> dict[str, Any]:
    """Return `asked`, decoded JSON, as the settings of `kind` take it.

    Raises WrongJsonError naming the setting (`called` says what it is) when it is unknown or its value is of the wrong
    kind.
    """
    readers = {each.name: each.metadata["reader"] for each in fields(kind) if "reader" in each.metadata}
    values: dict[str, Any] = {}
    for name, value in asked.items():
        if name not in readers:
            raise WrongJsonError(f"no such {called}: {name}")
        try:
            values[name] = readers[name](value)
        except (TypeError, ValueError) as problem:
            raise WrongJsonError(f"{name}: {problem}") from problem
    return values


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a test or a person may choose of a simulator: its credentials, and settings that can be changed."""

    def changed(self, changes: Mapping[str, object]) -> Self:
        """Return this configuration with `changes` (decoded JSON) made.

        Raises ValueError naming the field when a field is unknown or its value is of the wrong kind.
        """
        return replace(self, **values_of(type(self), changes, called="setting"))

    def at_the_addresses_of(self, other: Self) -> Self:
        """Return this configuration for the customer who is where `other` says."""
        names = [each.name for each in fields(self) if each.metadata.get("is_address")]
        return replace(self, **{name: getattr(other, name) for name in names})

    def shown(self) -> dict[str, object]:
        """Return every setting as JSON can carry it, without the credentials."""
        return {each.name: _plain(getattr(self, each.name)) for each in fields(self) if "reader" in each.metadata}


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    return sorted(value) if isinstance(value, frozenset) else value
