"""Weights as bytes: a scale for each query, and square roots, so that small weights can still be told apart.

Shapes: h heads, Q queries, M weights of a query.
"""

from typing import Any

import numpy as np
from torch import Tensor


def in_bytes(weights_hQM: Tensor) -> dict[str, Any]:
    """{"values": bytes, "scale": largest size of each query, "signed"}: weight = scale * (value / highest)^2.

    `highest` is 255, or 127 with the sign of the value where there are negative weights. The error of a weight is
    below 1 % of its query's largest.
    """
    weights = weights_hQM.float().cpu().numpy()
    signed = bool(weights.min(initial=0) < -1e-6)
    scale_hQ = np.abs(weights).max(-1, initial=0)
    share = np.abs(weights) / np.maximum(scale_hQ, 1e-30)[..., None]
    roots = np.sqrt(share) * (127 if signed else 255)
    values = np.rint(roots * np.sign(weights) if signed else roots)
    kind = np.int8 if signed else np.uint8
    return {
        "values": values.astype(kind).ravel(),
        "scale": scale_hQ.astype(np.float32).ravel(),
        "signed": signed,
    }
