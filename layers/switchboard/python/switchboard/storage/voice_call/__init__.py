"""Voice calls in the state table, and the results that the provider reports."""
