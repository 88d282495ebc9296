"""The control requests that every simulator has: its faults, its settings, its beginning again."""

from collections.abc import Callable
from typing import Any

from sandbox.simulators.account import Account
from sandbox.simulators.controlling import ControlRequest, Json, Route, object_of

AnyAccount = Account[Any, Any, Any]


def faults(account: AnyAccount, _: ControlRequest) -> Json:
    """Return the faults still to come."""
    return {"faults": account.pending_faults()}


def adding_faults(read: Callable[[object], object]) -> Route[AnyAccount]:
    """Return the route that scripts one fault or a list, all or none of them, each as `read` reads it."""

    def add(account: AnyAccount, request: ControlRequest) -> Json:
        body = request.body
        for fault in [read(item) for item in (body if isinstance(body, list) else [body])]:
            account.add_fault(fault)
        return faults(account, request)

    return add


def config(account: AnyAccount, _: ControlRequest) -> Json:
    """Return the settings in force."""
    return dict(account.config.shown())


def change_config(account: AnyAccount, request: ControlRequest) -> Json:
    """Change settings, all or none of them, and return those in force."""
    account.configure(object_of(request.body))
    return config(account, request)


def reset(account: AnyAccount, _: ControlRequest) -> Json:
    """Let the provider begin again."""
    account.reset()
    return {}
