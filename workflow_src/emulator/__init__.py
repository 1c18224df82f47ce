"""One Atari emulator, preprocessed as in the benchmark."""
