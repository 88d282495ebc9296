"""Compares the lengths that this system measures with those of two libraries, over every file in a folder.

Usage: `python tools/compare_audio_lengths.py FOLDER`. It prints a line for each file and the counts of each verdict.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import mutagen
from tinytag import TinyTag

sys.path.insert(0, str(Path(__file__).parents[1] / "layers" / "switchboard" / "python"))

from switchboard.domain.recording.audio import AudioMeter

_TOLERANCE_S = 0.05
_CHUNK_BYTES = 256 * 1024


def measure(path: Path) -> tuple[str, float | None]:
    """Return the format, or `-`, and the seconds that this system finds."""
    meter = AudioMeter()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            meter.feed(chunk)
    meter.finish()
    return (meter.format.name if meter.format else "-"), meter.seconds()


def ask_libraries(path: Path) -> dict[str, float | None]:
    """Return the seconds that each library finds, or None if it finds none or fails."""
    lengths: dict[str, float | None] = {}
    for name, read in (
        ("tinytag", lambda: TinyTag.get(path, tags=False).duration),
        ("mutagen", lambda: mutagen.File(path).info.length),
    ):
        try:
            lengths[name] = read()
        except Exception:  # noqa: BLE001 - each library raises errors of its own over a broken file
            lengths[name] = None
    return lengths


def judge(ours: float | None, theirs: list[float | None]) -> str:
    """Return whether our length is that of a library."""
    known = [length for length in theirs if length]
    if ours is None:
        return "null, as theirs" if not known else "null"
    if not known:
        return "only ours"
    agreeing = sum(abs(ours - length) <= _TOLERANCE_S for length in known)
    return "agrees with all" if agreeing == len(known) else "agrees with one" if agreeing else "differs"


def main(folder: Path) -> None:
    """Compare every file under `folder`."""
    verdicts: Counter[str] = Counter()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        audio_format, ours = measure(path)
        theirs = ask_libraries(path)
        verdict = judge(ours, list(theirs.values()))
        verdicts[verdict] += 1
        columns = [f"{name} {'-' if length is None else f'{length:.3f}'}" for name, length in theirs.items()]
        print(f"{verdict:16} {audio_format:14} ours {ours}  {'  '.join(columns)}  {path.relative_to(folder)}")
    print(*(f"{count:5} {verdict}" for verdict, count in verdicts.most_common()), sep="\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
