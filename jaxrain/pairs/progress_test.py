from jaxrain.pairs.progress import watched


def test_all_pieces_come_in_order_and_a_few_lines_with_them():
    said = []
    assert list(watched(range(250), 250, "files read", said.append)) == list(range(250))
    assert len(said) == 10
    assert said[0] == "25 of 250 files read"
    assert said[-1] == "250 of 250 files read"
    assert list(watched([], 0, "days written", said.append)) == []
    assert len(said) == 10
