"""The items of the LimitsTable."""
