from jaxrain.diffusion.operations import forward_operations
from jaxrain.diffusion.unet import UNetConfig


def test_operations_of_one_level_in_closed_form():
    w, size, inputs = 8, 16, 5
    config = UNetConfig(
        inner_channel=w, channel_mults=(1,), res_blocks=1, norm_groups=4, attn_res=()
    )
    pixels = size**2
    # In units of w^2 multiply-adds a pixel: 1 block down and 2 in the middle (18 each), 2 up (27
    # each and a shortcut of 2), and the attention's projections (4).
    squares = 18 + 2 * 18 + 2 * (27 + 2) + 4
    ends = 9 * (inputs + 1) * w
    embedding = 2 * w * 4 * w + 5 * w * w
    attention = 2 * pixels**2 * w
    expected = 2 * (pixels * (squares * w * w + ends) + embedding + attention)
    count = forward_operations(config, in_channels=inputs, image_size=size, batch=1)
    assert count == expected
    assert forward_operations(config, in_channels=inputs, image_size=size, batch=3) == 3 * count


def test_a_level_below_works_on_a_quarter_of_the_pixels():
    def count(edge, *mults):
        config = UNetConfig(inner_channel=8, channel_mults=mults, norm_groups=4, attn_res=(64,))
        return forward_operations(config, in_channels=2, image_size=edge)

    # Twice the edge: four times the pixels, but for the embedding and the attention's N x N.
    small, large = count(16, 1, 2), count(32, 1, 2)
    embedded = sum(2 * 8 * out for out in (8, 8, 16, 16, 16, 16, 16, 16, 16, 8, 8, 8))
    once = 2 * 2 * 8 * 32 + embedded
    scores = 2 * 2 * 16 * (8**2) ** 2
    assert large - once - 16 * scores == 4 * (small - once - scores)
