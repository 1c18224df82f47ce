"""The emulator's colours, and the grays that frames are stored in.

The screen holds the console's colours: a hue in the upper four bits, a brightness in the next
three, the last bit always 0. Two frames are merged by the maximum of each of red, green and blue
and then made gray, as in the 2019 code. Grays are OpenCV's of these colours; those of a single
screen are the emulator's own.
"""

import numpy as np
import stringzilla

# What the emulator shows on NTSC television, which all our games are for; a line for each hue.
_NTSC = """
    000000 4a4a4a 6f6f6f 8e8e8e aaaaaa c0c0c0 d6d6d6 ececec
    484800 69690f 86861d a2a22a bbbb35 d2d240 e8e84a fcfc54
    7c2c00 904811 a26221 b47a30 c3903d d2a44a dfb755 ecc860
    901c00 a33915 b55328 c66c3a d5824a e39759 f0aa67 fcbc74
    940000 a71a1a b83232 c84848 d65c5c e46f6f f08080 fc9090
    840064 97197a a8308f b846a2 c659b3 d46cc3 e07cd2 ec8ce0
    500084 68199a 7d30ad 9246c0 a459d0 b56ce0 c57cee d48cfc
    140090 331aa3 4e32b5 6848c6 7f5cd5 956fe3 a980f0 bc90fc
    000094 181aa7 2d32b8 4248c8 545cd6 656fe4 7580f0 8490fc
    001c88 183b9d 2d57b0 4272c2 548ad2 65a0e1 75b5ef 84c8fc
    003064 185080 2d6d98 4288b0 54a0c5 65b7d9 75cceb 84e0fc
    004030 18624e 2d8169 429e82 54b899 65d1ae 75e7c2 84fcd4
    004400 1a661a 328432 48a048 5cba5c 6fd26f 80e880 90fc90
    143c00 355f18 527e2d 6e9c42 87b754 9ed065 b4e775 c8fc84
    303800 505916 6d762b 88923e a0ab4f b7c25f ccd86e e0ec7c
    482c00 694d14 866a26 a28638 bb9f47 d2b656 e8cc63 fce070
"""
# Red, green and blue of each colour, (256, 3).
PALETTE = np.array([list(bytes.fromhex(color)) for color in _NTSC.split()]).repeat(2, axis=0)


def _grays(colors: np.ndarray) -> np.ndarray:
    """OpenCV's luma of (..., 3), in its integers."""
    return (colors @ [9798, 19235, 3735] + 16384 >> 15).astype(np.uint8)


# Looked up here a screen takes 5 us, where the emulator's `getScreenGrayscale` takes 10.
GRAY = _grays(PALETTE).tobytes()
# Of two screens: the gray of colours a and b is at 256 a + b.
_MERGED = _grays(np.maximum(PALETTE[:, None], PALETTE)).ravel()
_WORD = 8


class Screens:
    """The last two screens of an emulator; a screen's height x width is a multiple of 8."""

    def __init__(self, shape: tuple[int, int]):
        self.last = np.zeros((2, *shape), np.uint8)
        flat = self.last.reshape(2, -1)
        self._words, self._bytes = flat.view(np.uint64), flat.reshape(2, -1, _WORD)
        self._text = memoryview(flat[0])
        self._differ = np.empty(self._words.shape[1], bool)

    def merge(self, out: np.ndarray) -> None:
        """Write the gray of the merged screens to ``out``, uint8 of a screen's shape."""
        flat = out.reshape(-1)
        stringzilla.translate(self._text, GRAY, out=memoryview(flat))  # type: ignore[arg-type]
        # Few pixels differ, so that eight at a time are found by far faster than each.
        np.not_equal(*self._words, out=self._differ)  # type: ignore[call-overload]
        at = self._differ.nonzero()[0]
        if len(at):
            pair = self._bytes[0, at].astype(np.intp)
            pair <<= 8
            pair |= self._bytes[1, at]
            flat.reshape(-1, _WORD)[at] = _MERGED.take(pair)
