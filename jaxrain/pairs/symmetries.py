"""The eight symmetries of the square: a training patch turned and mirrored is another one.

Only where no predictor has a direction: wind turns with the patch, geopotential knows which way
the earth turns, and a place has its latitude.
"""

import numpy as np

COUNT = 8


def turned(example: dict[str, np.ndarray], symmetry: int) -> dict[str, np.ndarray]:
    """A patch, its maps and its coarse cells under one symmetry of the square.

    The interpolated predictors turn with the patch: rows of a weight matrix are the patch's rows,
    and a transposition exchanges the two matrices and the axes of the coarse cells.

    Args:
      example: of `jaxrain.pairs.loader`: fine [P, P], coarse [C, k, k], weights_y and weights_x
        [I, P, k], perhaps maps [P, P, M] and others, which stay.
      symmetry: 0 to 7; its bits reverse the rows, reverse the columns, exchange rows and columns,
        in this order.

    Returns:
      Views of the arrays.
    """
    turned = dict(example)
    for key in ("fine", "maps"):
        if key in turned:
            turned[key] = turned[key][_order(symmetry & 1), _order(symmetry & 2)]
    turned["weights_y"] = turned["weights_y"][:, _order(symmetry & 1)]
    turned["weights_x"] = turned["weights_x"][:, _order(symmetry & 2)]
    if symmetry & 4:
        for key in ("fine", "maps"):
            if key in turned:
                turned[key] = turned[key].swapaxes(0, 1)
        turned["coarse"] = turned["coarse"].swapaxes(1, 2)
        turned["weights_y"], turned["weights_x"] = turned["weights_x"], turned["weights_y"]
    return turned


def _order(reverse: int) -> slice:
    return slice(None, None, -1 if reverse else 1)
