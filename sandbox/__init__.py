"""The whole system on one machine: an AWS emulator with the real template in it, and one simulator per provider."""
