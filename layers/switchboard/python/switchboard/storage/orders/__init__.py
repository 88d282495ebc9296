"""Orders in the state table: items, indexes and the store that every kind of order shares."""
