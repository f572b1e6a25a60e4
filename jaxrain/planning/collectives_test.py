from jaxrain.planning.collectives import count_collectives

TEXT = """
HloModule jit_step, is_scheduled=true
  %all-reduce.1 = (f32[3,4]{1,0}, bf16[8]{0}, /*index=2*/f32[]) all-reduce(%a, %b, %c), channel_id=1
  ROOT %r = f32[16]{0} all-reduce-start(%x), channel_id=2, to_apply=%sum
  %d = f32[16]{0} all-reduce-done(%r)
  %g = s8[2,5]{1,0:T(8,128)} all-gather(%y), dimensions={0}
  %all-reduce.9 = f32[7]{0} get-tuple-element(%all-reduce.1), index=0
  %f = f32[7]{0} fusion(%all-gather.3), kind=kLoop
"""


def test_bytes_and_instructions_are_read_off_the_text():
    totals, counts = count_collectives(TEXT)
    assert totals == {"all-reduce": (12 * 4 + 8 * 2 + 4) + 16 * 4, "all-gather": 10}
    assert counts == {"all-reduce": 2, "all-gather": 1}


def test_a_program_for_one_device_has_none():
    assert count_collectives("%a = f32[3]{0} add(%x, %y)") == ({}, {})
