"""Hold the values and rules of verifications by telephone: requests, one-time codes and status."""
