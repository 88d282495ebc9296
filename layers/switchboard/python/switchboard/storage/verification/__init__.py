"""Verifications in the state table, with their leases, IVR calls and codes."""
