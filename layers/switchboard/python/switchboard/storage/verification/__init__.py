"""Store verifications, IVR calls and one-time codes in the StateTable."""
