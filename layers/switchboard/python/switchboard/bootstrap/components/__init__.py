"""What several applications are built of, by topic."""
