"""Compares the answers that a page shows with what its commands print.

A shown answer consists of lines and JSON objects. `…` stands for what is left out. Times and URLs may differ.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

LEFT_OUT: Final = "…"
ANYTHING: Final = "……"
TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,…]|[^\s{}\[\]:,"…]+')
VARIABLE: Final = re.compile(r"\d{4}-\d{2}-\d{2}T[\d:.]+Z|https?://\S+")


def find_differences(shown: str, output: str) -> list[str]:
    """Return what a page shows and an output does not hold, in this order."""
    # curl begins no new line after a body.
    rest = output.replace("\r", "").replace("HTTP/1.", "\nHTTP/1.")
    differences = []
    for expected in parse(shown):
        rest, problem = find(expected, rest)
        differences += [problem] if problem else []
    return differences


def parse(shown: str) -> Iterator[Any]:
    """Yield the lines of a shown answer, and its JSON values as values."""
    rest = shown.strip()
    while rest:
        if rest[0] != "{":
            line, _, rest = rest.partition("\n")
            yield line.strip()
        else:
            end = find_end(rest)
            yield json.loads(to_json(rest[:end]))
            rest = rest[end:]
        rest = rest.strip()


def find_end(text: str) -> int:
    """Return the position behind the JSON object at the beginning of a text."""
    depth = 0
    for match in re.finditer(r'"(?:[^"\\]|\\.)*"|[{}]', text):
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        if depth == 0:
            return match.end()
    raise ValueError(f"a page shows an object without an end: {text}")


def to_json(text: str) -> str:
    """Return a shown object as JSON: each bare `…` is the text ANYTHING, or a member of that name."""
    tokens: list[str] = []
    brackets = ""
    for token in TOKEN.findall(text):
        before = tokens[-1] if tokens else "{"
        if before not in "{[:," and token not in "}]:,":
            tokens.append(",")  # `…` may stand for a comma as well
        if token in "{[":
            brackets += token
        elif token in "}]":
            brackets = brackets[:-1]
            if before == ",":
                tokens.pop()
        is_member = brackets.endswith("{") and before != ":"
        tokens.append((f'"{ANYTHING}": 0' if is_member else f'"{ANYTHING}"') if token == LEFT_OUT else token)
    return "".join(tokens)


def find(expected: Any, output: str) -> tuple[str, str | None]:
    """Find a shown line or value in an output; return what follows it, and what is wrong if it is not there."""
    if isinstance(expected, str):
        pattern = re.sub(rf"[\w-]*{LEFT_OUT}[\w-]*", ".*", re.escape(VARIABLE.sub(LEFT_OUT, expected)))
        match = re.search(rf"^{pattern}\s*?(?:$|(?={{))", output, re.MULTILINE | re.IGNORECASE)
        return (output[match.end() :], None) if match else (output, expected)
    start, problem = output.find("{"), "no object"
    while start >= 0:
        try:
            value, end = json.JSONDecoder().raw_decode(output, start)
        except ValueError:
            end = start + 1
        else:
            return output[end:], differ(expected, value)
        start = output.find("{", end)
    return output, f"{problem}: {expected}"


def differ(shown: Any, value: Any, path: str = "") -> str | None:
    """Return where a value is not as a page shows it, None if it is."""
    match shown:
        case dict():
            if not isinstance(value, dict):
                return f"{path}: {value}"
            names = [name for name in shown if name != ANYTHING]
            missing = [f"{path}.{name} is missing" for name in names if name not in value]
            extra = [] if ANYTHING in shown else [f"{path}.{name} is not shown" for name in value if name not in shown]
            deeper = [differ(shown[name], value[name], f"{path}.{name}") for name in names if name in value]
            return next((problem for problem in (*missing, *extra, *deeper) if problem), None)
        case [*elements]:
            elements = [element for element in elements if element != ANYTHING]
            if not isinstance(value, list) or len(value) < len(elements):
                return f"{path}: {value}"
            deeper = [differ(one, other, f"{path}[]") for one, other in zip(elements, value, strict=False)]
            return next((problem for problem in deeper if problem), None)
        case str() if shown == ANYTHING:
            return None
        case str() if LEFT_OUT in shown or VARIABLE.fullmatch(shown):
            return None if isinstance(value, str) and value else f"{path}: {value}"
        case _:
            return None if shown == value else f"{path}: {value}, not {shown}"
