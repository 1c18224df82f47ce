"""Playing: the emulator as the paper saw it, policies, collecting, the frame store, and reading it by split."""
