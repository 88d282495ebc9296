"""Messages in the state table, and the delivery reports in their items."""
