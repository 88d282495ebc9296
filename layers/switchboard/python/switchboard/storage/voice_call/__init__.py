"""Store voice calls and their results in the StateTable."""
