"""The values and rules of subscriptions: callers' addresses to which changes are posted, signed."""
