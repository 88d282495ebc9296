"""Use cases: one callable for each thing that a caller, a provider or the schedule asks for."""
