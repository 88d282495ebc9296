#!/bin/sh
# Prints the best CPython on this machine for the project: 3.13 (the deployed runtime), else 3.12, else 3.11.
# Runs each candidate before it is chosen: a version manager's shim may exist for a version that is not installed.
works() { "$1" -c "import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != ($2, $3))" >/dev/null 2>&1; }
for minor in 13 12 11; do
    for candidate in "python3.$minor" "$HOME/.pyenv/versions/3.$minor".*/bin/python /opt/python/3."$minor"*/bin/python3 python3; do
        if works "$candidate" 3 "$minor"; then
            command -v "$candidate"
            exit 0
        fi
    done
done
echo "Switchboard needs CPython 3.11, 3.12 or 3.13 with venv, and found none. Install one and run the command again." >&2
exit 1
