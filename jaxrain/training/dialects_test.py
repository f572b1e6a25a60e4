import numpy as np
import pytest

from jaxrain.training.dialects import (
    DIALECTS,
    flatten,
    from_torch,
    jax_path,
    to_torch,
    torch_name,
    unflatten,
)

STAGE = {
    "attn": {
        "norm": {"bias": (4,), "scale": (4,)},
        "out": {"bias": (4,), "kernel": (1, 1, 4, 4)},
        "qkv": {"kernel": (1, 1, 4, 12)},
    },
    "res_block": {
        "block1": {
            "conv": {"bias": (4,), "kernel": (3, 3, 2, 4)},
            "norm": {"bias": (2,), "scale": (2,)},
        },
        "noise_func": {"bias": (4,), "kernel": (6, 4)},
        "res_conv": {"bias": (4,), "kernel": (1, 1, 2, 4)},
    },
}
SHAPES = {
    "downs": {"10": STAGE, "2": {"conv": {"kernel": (3, 3, 2, 2)}}},
    "final_conv": {"conv": {"bias": (1,), "kernel": (3, 3, 4, 1)}},
    "noise_embedding": {"first": {"bias": (24,), "kernel": (6, 24)}},
}


def parameters(seed=0):
    rng = np.random.default_rng(seed)
    return unflatten({path: rng.normal(size=shape) for path, shape in flatten(SHAPES)})


def test_names_and_order_of_both_dialects():
    names = list(to_torch(parameters(), "sr3"))
    assert names == [
        "noise_level_mlp.1.weight",
        "noise_level_mlp.1.bias",
        "downs.2.conv.weight",
        "downs.10.res_block.noise_func.noise_func.0.weight",
        "downs.10.res_block.noise_func.noise_func.0.bias",
        "downs.10.res_block.block1.block.0.weight",
        "downs.10.res_block.block1.block.0.bias",
        "downs.10.res_block.block1.block.3.weight",
        "downs.10.res_block.block1.block.3.bias",
        "downs.10.res_block.res_conv.weight",
        "downs.10.res_block.res_conv.bias",
        "downs.10.attn.norm.weight",
        "downs.10.attn.norm.bias",
        "downs.10.attn.qkv.weight",
        "downs.10.attn.out.weight",
        "downs.10.attn.out.bias",
        "final_conv.block.3.weight",
        "final_conv.block.3.bias",
    ]
    climate = list(to_torch(parameters(), "climate"))
    assert climate[0] == "time_embedding.1.weight"
    assert climate[3] == "downs.10.res_block.noise_func.noise_func.weight"


def test_layout_is_output_first():
    params = parameters()
    state = to_torch(params, "sr3")
    kernel = params["downs"][2]["conv"]["kernel"]
    assert state["downs.2.conv.weight"][1, 0, 2, 1] == kernel[2, 1, 0, 1]
    first = params["noise_embedding"]["first"]["kernel"]
    assert state["noise_level_mlp.1.weight"][20, 5] == first[5, 20]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_there_and_back_is_exact(dialect):
    params = parameters()
    back = from_torch(to_torch(params, dialect), dialect)
    expected, got = dict(flatten(params)), dict(flatten(back))
    assert expected.keys() == got.keys()
    for path, leaf in expected.items():
        np.testing.assert_array_equal(got[path], leaf)
        assert jax_path(torch_name(path, dialect), leaf.ndim, dialect) == path


def test_unflatten_inverts_flatten():
    leaves = dict(flatten(parameters()))
    assert dict(flatten(unflatten(leaves))).keys() == leaves.keys()
