"""Place codes: one linear map from z predicts where each gray level is, and each place's patch.

The project's own. See `encoders.places` for the codes and `combined` for the terms. Nothing but a
linear map stands between z and the codes, so training makes positions linear in z.
"""

from workflow_src.methods.combined import Combined
from workflow_src.training.objective import method

OPTIONS = {"terms": "profiles patches", "masked": 0.0}


@method("place-codes")
class PlaceCodes(Combined):
    """`Combined` of ``profiles`` and ``patches``."""
