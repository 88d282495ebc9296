"""Prints the report. Aims that are missed are told, not failed: a busy machine is no reason to stop anybody."""

from benchmarks.cold_import import cold_import_rows
from benchmarks.contenders import prepared
from benchmarks.operations import operation_rows
from benchmarks.pace import print_pace
from benchmarks.real_pace import print_real_pace
from benchmarks.recordings import recording_rows
from benchmarks.rows import print_table
from benchmarks.stack import running_stack
from benchmarks.warm_call import warm_call_rows


def main() -> None:
    with running_stack() as stack, prepared(stack) as field:
        operations = list(operation_rows(stack, field))
        print_table([*cold_import_rows(field), *warm_call_rows(field), *operations])
    print_table(recording_rows())
    print_pace()
    print_real_pace()


if __name__ == "__main__":
    main()
