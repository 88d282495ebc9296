"""The control requests that every simulator has: its faults, its settings, its beginning again."""

from collections.abc import Callable, Mapping
from typing import Any

from sandbox.simulators.controlling import Json, Route, object_of
from sandbox.simulators.simulator import Simulator

AnySimulator = Simulator[Any, Any]


def faults(simulator: AnySimulator, _query: Mapping[str, str], _body: Any) -> Json:
    """Return the faults still to come."""
    return {"faults": simulator.provider.pending_faults()}


def adding_faults(read: Callable[[object], object]) -> Route[AnySimulator]:
    """Return the route that scripts one fault or a list, all or none of them, each as `read` reads it."""

    def add(simulator: AnySimulator, query: Mapping[str, str], body: Any) -> Json:
        for fault in [read(item) for item in (body if isinstance(body, list) else [body])]:
            simulator.provider.add_fault(fault)
        return faults(simulator, query, body)

    return add


def config(simulator: AnySimulator, _query: Mapping[str, str], _body: Any) -> Json:
    """Return the settings in force."""
    return dict(simulator.provider.config.shown())


def change_config(simulator: AnySimulator, query: Mapping[str, str], body: Any) -> Json:
    """Change settings, all or none of them, and return those in force."""
    simulator.provider.configure(object_of(body))
    return config(simulator, query, body)


def reset(simulator: AnySimulator, _query: Mapping[str, str], _body: Any) -> Json:
    """Let the provider begin again."""
    simulator.provider.reset()
    return {}
