"""Spares moto what it does again and again: a fifth of the time of all tests on AWS."""

from __future__ import annotations

from typing import Any

from moto.core.serialize import AttributePickerContext, XFormedAttributePicker
from moto.dynamodb.parsing.ast_nodes import DepthFirstTraverser  # type: ignore[attr-defined]  # an untyped module
from moto.dynamodb.parsing.validators import ActionCountValidator

# moto counts the clauses of an update expression anew at each part of it. The count at its root is the same.
ActionCountValidator.traverse = ActionCountValidator.verify_action_counts


def _nodes_to_be_processed(self: Any) -> tuple[type, ...]:
    # It is asked for at each part of an expression, and moto builds a map of methods each time.
    if "types" not in vars(self):
        self.types = tuple(self._processing_map())
    types: tuple[type, ...] = self.types
    return types


def _pick(self: Any, context: AttributePickerContext) -> Any:
    # moto looks for each member of an answer under six names. In a dictionary it has its own.
    if type(context.obj) is dict and context.key in context.obj and not self.response_transformers:
        return context.obj[context.key]
    return _pick_by_any_name(self, context)


_pick_by_any_name = XFormedAttributePicker.__call__
DepthFirstTraverser.nodes_to_be_processed = _nodes_to_be_processed
XFormedAttributePicker.__call__ = _pick  # type: ignore[method-assign]
