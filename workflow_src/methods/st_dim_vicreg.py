"""ST-DIM with a same-frame term and VICReg's variance and covariance terms.

ST-DIM's InfoNCE makes features large and correlated; VICReg's terms (Bardes et al. 2022, arXiv
2105.04906) keep each feature's deviation at 1 and features uncorrelated, so that a linear probe
reads them soon. The same-frame term asks z for what stands still, too. See `combined`.
"""

from workflow_src.methods.combined import Combined
from workflow_src.training.objective import method

OPTIONS = {
    "terms": "global-local local-local same-frame variance covariance:0.04",
    "masked": 0.0,
}


@method("st-dim-vicreg")
class STDIMVICReg(Combined):
    """`Combined` of ST-DIM's terms, ``same-frame``, ``variance`` and ``covariance``."""
