"""Print the template as CloudFormation receives it, as JSON, with every optional part in use.

SAM's transform is applied, each condition holds, and each empty parameter has its own name as its value. So a scanner,
which cannot read conditions, sees a deployment with all options.
"""

from __future__ import annotations

import json
import sys

from tests.translated_template import choose_branches, translate_template


def main() -> int:
    """Print the template, and return the exit status."""
    template = choose_branches(translate_template(), translate_template()["Conditions"])
    for name, parameter in template["Parameters"].items():
        parameter["Default"] = parameter.get("Default") or name
    json.dump(template, sys.stdout, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
