"""One root seed -> independent seeds by name.

Every function that draws takes its generator as an argument; nothing in the package touches a
global generator. The 2019 code seeded the environments only (quirk Q3), and pretrain and probe data
alike (Q10): neither is reproduced.
"""

import hashlib

import numpy as np


def derive(root: int, *names: str | int) -> int:
    """A 63-bit seed for the thing called ``names``, independent of any other name or root."""
    # The separator cannot occur in a name, so ("a/b", "c") and ("a", "b/c") differ.
    digest = hashlib.sha256("\0".join(map(str, (root, *names))).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(root: int, *names: str | int) -> np.random.Generator:
    """A numpy generator seeded with ``derive(root, *names)``."""
    return np.random.Generator(np.random.PCG64(derive(root, *names)))
