"""Holds scripted faults of any provider in their order, and uses them up request by request."""

from collections.abc import Callable, Mapping
from dataclasses import Field, asdict, replace
from typing import Any, ClassVar, Final, Generic, Protocol, TypeVar

from sandbox.simulators.json_readers import WrongJsonError

SOME_PAGE: Final = "<html><body><h1>It works!</h1></body></html>"
"""A page that any web server might answer, and no provider does."""


class ScriptedFault(Protocol):
    """The members that the faults of every provider have. Each provider has a frozen dataclass of its own."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def times(self) -> int | None:
        """The number of requests that meet the fault; None is every request."""


F = TypeVar("F", bound=ScriptedFault)


class FaultScript(Generic[F]):
    """The faults that are still to come, in the order in which they were scripted."""

    def __init__(self) -> None:
        self._faults: list[F] = []

    def add(self, fault: F) -> None:
        """Append a fault."""
        if fault.times != 0:
            self._faults.append(fault)

    def take(self, matches: Callable[[F], bool]) -> F | None:
        """Return the first fault that matches, and use up one of its times."""
        for index, fault in enumerate(self._faults):
            if matches(fault):
                if fault.times == 1:
                    del self._faults[index]
                elif fault.times is not None:
                    self._faults[index] = replace(fault, times=fault.times - 1)
                return fault
        return None

    def pending(self) -> list[dict[str, object]]:
        """Return the faults that are left, in the form in which a control request scripts them."""
        return [asdict(fault) for fault in self._faults]

    def clear(self) -> None:
        """Forget every fault."""
        self._faults.clear()


def read_members(value: object, fault: type[ScriptedFault]) -> Mapping[str, object]:
    """Return the members of a fault in decoded JSON.

    Raises:
        WrongJsonError: when `value` is no object, or has a member that `fault` has not.
    """
    if not isinstance(value, Mapping):
        raise WrongJsonError("a fault must be an object")
    unknown = value.keys() - fault.__dataclass_fields__.keys()
    if unknown:
        raise WrongJsonError(f"no such field: {', '.join(sorted(map(str, unknown)))}")
    return value
