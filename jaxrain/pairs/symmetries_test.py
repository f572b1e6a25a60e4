import numpy as np
import pytest

from jaxrain.pairs.symmetries import COUNT, turned


@pytest.fixture
def example():
    rng = np.random.default_rng(2)
    shapes = {
        "fine": (6, 6),
        "maps": (6, 6, 2),
        "coarse": (3, 4, 4),
        "weights_y": (2, 6, 4),
        "weights_x": (2, 6, 4),
        "clock": (4,),
    }
    return {key: rng.standard_normal(shape) for key, shape in shapes.items()}


def interpolated(example):
    equation = "iph,chw,iqw->icpq"
    return np.einsum(equation, example["weights_y"], example["coarse"], example["weights_x"])


def by_hand(field, symmetry):
    """The same symmetry of an array whose last axes are rows and columns."""
    if symmetry & 1:
        field = np.flip(field, -2)
    if symmetry & 2:
        field = np.flip(field, -1)
    return np.swapaxes(field, -2, -1) if symmetry & 4 else field


@pytest.mark.parametrize("symmetry", range(COUNT))
def test_rain_maps_and_interpolated_predictors_turn_together(example, symmetry):
    other = turned(example, symmetry)
    np.testing.assert_array_equal(other["fine"], by_hand(example["fine"], symmetry))
    maps = by_hand(np.moveaxis(example["maps"], -1, 0), symmetry)
    np.testing.assert_array_equal(np.moveaxis(other["maps"], -1, 0), maps)
    np.testing.assert_allclose(interpolated(other), by_hand(interpolated(example), symmetry))
    np.testing.assert_array_equal(other["clock"], example["clock"])


def test_all_eight_differ_and_the_first_changes_nothing(example):
    fields = [turned(example, symmetry)["fine"] for symmetry in range(COUNT)]
    assert len({field.tobytes() for field in fields}) == COUNT
    np.testing.assert_array_equal(fields[0], example["fine"])
