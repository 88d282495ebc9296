"""Rate limiter, circuit breaker and concurrency limit of a provider."""
