"""Holds the templates of the console, fills them with variables, and refuses values by the content check."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from sandbox.simulators.baidu_vms import errors
from sandbox.simulators.baidu_vms.errors import Error
from sandbox.simulators.baidu_vms.requests import RefusedError

_PLACEHOLDER: Final = re.compile(r"\$\{([^}]*)\}")


@dataclass(frozen=True, slots=True)
class Template:
    """One template. The console's form of a variable is not published: here it is `${name}`."""

    text: str
    error: Error | None = None
    """The answer to a call with the template; None for an approved template."""

    @property
    def variables(self) -> frozenset[str]:
        """The names of the variables."""
        return frozenset(_PLACEHOLDER.findall(self.text))

    def fill(self, values: Mapping[str, str]) -> str:
        """Return the text with the variables replaced."""
        return _PLACEHOLDER.sub(lambda match: values[match[1]], self.text)


TEMPLATES: Final[Mapping[str, Template]] = MappingProxyType(
    {
        "123": Template("${name},您的号码是${number}。"),
        "124": Template("${content}"),
        "125": Template("您的设备需要检查。"),
        "200": Template("${name}", errors.TEMPLATE_NOT_VERIFIED),
        "201": Template("${name}", errors.EXCEED_LIMIT),
        "202": Template("${name}", errors.OPT_IN_REQUIRED),
    }
)

FORBIDDEN_VALUES: Final[Mapping[str, Error]] = MappingProxyType(
    {"illegal-content": errors.CONTENT_ILLEGAL, "DROP TABLE": errors.SQL_INJECTION}
)
"""Texts that the checks find anywhere in a variable's value, and the error for each."""


def read_variables(text: str) -> dict[str, str]:
    """Return the values by name in `name=test&number=1`. Nothing is decoded: the document mentions no escaping.

    Raises:
        RefusedError: when a part has not exactly one `=`, or a name comes twice.
    """
    values: dict[str, str] = {}
    for part in text.split("&") if text else []:
        name, _, value = part.partition("=")
        if part.count("=") != 1 or not name or name in values:
            raise RefusedError(errors.WRONG_VARIABLES, "variables are not name=value, each name once")
        values[name] = value
    return values


def fill_template(templates: Mapping[str, Template], template_id: str, variables: str) -> str:
    """Return the text that the called party hears.

    Raises:
        RefusedError: when the template cannot be used, or the variables are not exactly the template's.
    """
    template = templates.get(template_id)
    if template is None:
        raise RefusedError(errors.NO_SUCH_TEMPLATE, "no such template")
    if template.error is not None:
        raise RefusedError(template.error, "this template always is")
    values = read_variables(variables)
    if values.keys() != template.variables:
        raise RefusedError(errors.WRONG_VARIABLES, "variables are not exactly the template's")
    for value in values.values():
        for forbidden, error in FORBIDDEN_VALUES.items():
            if forbidden in value:
                raise RefusedError(error, "a variable's value always is")
    return template.fill(values)
