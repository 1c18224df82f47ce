"""MST-DIM: ST-DIM whose later frame is masked (arXiv 2303.07437).

40 % of the pixels of x_t are set to 0, each for itself; x_tm1 is whole. The loss is ST-DIM's.
"""

from workflow_src.methods.combined import Combined
from workflow_src.training.objective import method

OPTIONS = {"terms": "global-local local-local", "masked": 0.4}


@method("mst-dim")
class MSTDIM(Combined):
    """`Combined` of ST-DIM's terms, with masks."""
