import jax
import jax.numpy as jnp
import pytest

from jaxrain.diffusion.convolution import convolve
from jaxrain.planning.convolutions import largest_patches


def compiled(channels, features, **keys):
    x, kernel = jnp.ones((2, 16, 16, channels)), jnp.ones((3, 3, channels, features))
    program = jax.jit(lambda x, kernel: convolve(x, kernel, **keys)).lower(x, kernel)
    return program.compile().as_text()


@pytest.mark.parametrize(
    ("channels", "columns"),
    [
        (8, 72),  # all at once
        (64, 2 * 288),  # two slices of 288 are all of 576
        (96, 2 * 288),  # two of three
        (128, 2 * 288),  # two of four
    ],
)
def test_positions_by_columns_of_a_real_program(channels, columns):
    assert largest_patches(compiled(channels, 16)) == 4 * 2 * 16 * 16 * columns


def test_a_stride_leaves_a_quarter_of_the_positions():
    assert largest_patches(compiled(8, 16, stride=2)) == 4 * 2 * 8 * 8 * 72


def test_the_largest_counts_whatever_way_operands_are_written():
    text = """
  %k = f32[3,3,2,4]{3,2,1,0} parameter(1)
  %a = f32[1,5,5,4]{3,2,1,0} convolution(%x, %k), window={size=3x3}, dim_labels=b01f_01io->b01f
  %w = bf16[1,1,2,4]{3,2,1,0} parameter(2)
  %b = bf16[9,1,1,4]{3,2,1,0} convolution(bf16[9,1,1,2]{3,2,1,0} %y, bf16[1,1,2,4]{3,2,1,0} %w), \
window={size=1x1}, dim_labels=b01f_01io->b01f
"""
    assert largest_patches(text) == 4 * 25 * 18
    others = "\n".join(line for line in text.splitlines() if "%a" not in line)
    assert largest_patches(others) == 2 * 9 * 2


def test_a_program_without_has_none():
    assert largest_patches("%a = f32[3]{0} add(%x, %y)") == 0
