"""Store messages and their delivery reports in the StateTable."""
