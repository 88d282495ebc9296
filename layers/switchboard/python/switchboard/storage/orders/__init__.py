"""Store orders in the StateTable, and read its indexes for all kinds of items."""
