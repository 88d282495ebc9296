"""Expands the loops of the template as the transform AWS::LanguageExtensions does on AWS.

The SAM translator knows no loops. On AWS, CloudFormation expands them before SAM's own transform.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from sandbox.errors import SandboxError

Template = dict[str, Any]

_LOOP: Final = "Fn::ForEach::"


def expand_template(template: Template) -> Template:
    """Return a copy of `template` with every loop replaced by its entries, and no object in two places.

    Each Fn::FindInMap with literal keys is replaced by its value in Mappings.

    Raises:
        SandboxError: when two entries have the same name, or Mappings lacks a value.
    """
    expanded: Template = _expand(template, {}, template.get("Mappings", {}))
    return expanded


def _expand(node: Any, items: Mapping[str, str], mappings: Template) -> Any:
    # CloudFormation replaces a loop variable in Ref, in Fn::Sub and in the names of a loop's entries, and nowhere else.
    match node:
        case {"Ref": str(name), **rest} if not rest and name in items:
            return items[name]
        case {"Fn::Sub": str(text), **rest} if not rest:
            text = _substitute(text, items)
            return {"Fn::Sub": text} if "${" in text else text
        case {"Fn::FindInMap": [*arguments], **rest} if not rest:
            return _find_in_map([_expand(argument, items, mappings) for argument in arguments], mappings)
        case dict():
            entries = [entry for key, value in node.items() for entry in _list_entries(key, value, items, mappings)]
            if duplicates := [name for name, count in Counter(name for name, _ in entries).items() if count > 1]:
                raise SandboxError(f"The template has {', '.join(duplicates)} more than once. Rename one of them.")
            return dict(entries)
        case list():
            return [_expand(value, items, mappings) for value in node]
    return node


def _list_entries(key: str, value: Any, items: Mapping[str, str], mappings: Template) -> Iterator[tuple[str, Any]]:
    """Yield the entries that one key of an object stands for: itself, or all those that a loop produces."""
    if not key.startswith(_LOOP):
        yield key, _expand(value, items, mappings)
        return
    variable, collection, body = value
    for item in collection:
        scope = {**items, variable: item}
        for name, content in body.items():
            yield _substitute(name, scope), _expand(content, scope, mappings)


def _substitute(text: str, items: Mapping[str, str]) -> str:
    for variable, item in items.items():
        text = text.replace(f"${{{variable}}}", item)
    return text


def _find_in_map(arguments: list[Any], mappings: Template) -> Any:
    if not all(isinstance(argument, str) for argument in arguments):
        return {"Fn::FindInMap": arguments}
    name, row, column = arguments
    try:
        return mappings[name][row][column]
    except KeyError as problem:
        raise SandboxError(f"Mappings has no value {name}.{row}.{column}. Add it to the template.") from problem
