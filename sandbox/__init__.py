"""The whole system on one machine: an AWS emulator with the real template in it, and a simulator of each provider."""
