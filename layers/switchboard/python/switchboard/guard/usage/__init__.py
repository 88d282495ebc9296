"""Usage limits of callers and the monthly quota of a provider."""
