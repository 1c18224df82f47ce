"""The 2019 code's script that probes a method."""
