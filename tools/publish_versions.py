"""Switch SnapStart and gradual deployments on in a built template: `make deploy SNAPSTART=on`.

Run this with the path of the template that `sam build` has written. Each build then publishes a version of every
function behind the alias `live`. The reasons for a switch at the build, and none in the template, are in
docs/adr/0022-built-at-init-and-safe-to-clone.md.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

_FUNCTIONS: Final = "\nGlobals:\n  Function:\n"
_PUBLISHED: Final = """\
    AutoPublishAlias: live
    AutoPublishAliasAllProperties: true
    Tags: {{ release: "{release}" }}
    SnapStart: {{ ApplyOn: PublishedVersions }}
    DeploymentPreference: {{ Type: Canary10Percent5Minutes }}
"""


def publish_versions(text: str, *, release: str) -> str:
    """Return a template whose functions are published, with the tag `release`.

    A version keeps the values that the parameters had when it was published. SAM publishes another one only if a
    property is written differently, so each deployment needs another `release`.

    Raises:
        ValueError: the text has no `Globals` of functions.
    """
    if text.count(_FUNCTIONS) != 1:
        raise ValueError("The template has no Globals of functions. Give the one that `sam build` writes.")
    return text.replace(_FUNCTIONS, _FUNCTIONS + _PUBLISHED.format(release=release))


def main(path: Path) -> None:
    """Write the template anew, with the time as its release."""
    release = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    path.write_text(publish_versions(path.read_text(encoding="utf-8"), release=release), encoding="utf-8")
    print(f"SnapStart is on. Every function gets a new version, of release {release}.")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
