"""Print the report. A missed goal is printed and fails nothing: a busy machine is no reason to stop a build.

With `--full` a crowd calls the sandbox and the tests are run, too.
"""

import sys

from benchmarks.beside_libraries import library_rows
from benchmarks.cold_import import cold_import_rows
from benchmarks.contenders import build_contenders
from benchmarks.crowd import print_crowd
from benchmarks.mp3_files import mp3_rows
from benchmarks.operations import operation_rows
from benchmarks.pace import print_pace
from benchmarks.real_pace import print_real_pace
from benchmarks.recordings import recording_rows
from benchmarks.rows import print_table
from benchmarks.sandbox_crowd import print_sandbox_crowd
from benchmarks.scale import scale_rows
from benchmarks.stack import running_stack
from benchmarks.suite import suite_row
from benchmarks.transcripts import transcript_rows
from benchmarks.warm_call import warm_call_rows


def main() -> None:
    """Run all benchmarks and print their tables."""
    with running_stack() as stack, build_contenders(stack) as contenders:
        operations = list(operation_rows(stack, contenders))
        print_table(
            [
                *cold_import_rows(contenders),
                *warm_call_rows(contenders),
                *library_rows(contenders),
                *operations,
            ]
        )
    print_table(scale_rows())
    print_table([*recording_rows(), *mp3_rows(), *transcript_rows()])
    print_pace()
    print_crowd()
    print_real_pace()
    if "--full" in sys.argv:
        print_sandbox_crowd()
        print_table([suite_row()])


if __name__ == "__main__":
    main()
