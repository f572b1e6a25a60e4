import dataclasses

import pytest

from jaxrain.config import (
    config_text,
    find_config,
    first_difference,
    load_config,
    override,
    save_config,
    values_of_text,
)
from jaxrain.errors import InputError


def test_no_file_and_no_words_give_the_defaults():
    assert load_config(None) == load_config(None, [])
    assert load_config(None).train.batch_size > 0


def test_resolved_text_is_a_fixed_point(tmp_path):
    config = load_config(None, ["train.learning_rate=1e-6", "train.clip_norm=null"])
    save_config(config, tmp_path / "deep" / "config.yaml")
    assert load_config(tmp_path / "deep" / "config.yaml") == config
    assert config_text(load_config(tmp_path / "deep" / "config.yaml")) == config_text(config)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["config.yaml"]


def test_settings_in_a_text_are_found_and_other_texts_hold_none():
    text = config_text(load_config(None, ["data.fine_utc_offset_hours=8"]))
    assert values_of_text(text)["data"]["fine_utc_offset_hours"] == 8
    for other in ("", "long 3", "data: [", "data: &a [*a]", "[1, 2]", "data: \ud800", "\x00"):
        assert values_of_text(other) in ({}, {"data": "?"})


def test_dates_stay_text():
    splits = load_config(None, ["data.splits.test=[2020-01-01]"]).data.splits
    assert splits.test[0].period == "2020-01-01"


def test_words_go_over_the_file_and_the_last_word_wins(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("train:\n  steps: 10\n  seed: 3\n")
    train = load_config(file, ["train.steps=20", "train.steps=30"]).train
    assert (train.steps, train.seed) == (30, 3)


def test_a_number_without_a_dot_is_a_number(tmp_path):
    # YAML 1.1 reads 1e-6 as text.
    file = tmp_path / "c.yaml"
    file.write_text("train:\n  learning_rate: 1e-6\n")
    assert load_config(file).train.learning_rate == 1e-6


def test_an_empty_file_gives_the_defaults(tmp_path):
    (tmp_path / "c.yaml").write_text("# nothing\n")
    assert load_config(tmp_path / "c.yaml") == load_config(None)


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("train.stepz=1", "did you mean 'train.steps'"),
        ("trian.steps=1", "did you mean 'train'"),
        ("train.xyzzy=1", "batch_size"),
        ("data.learning_rate=1", "did you mean 'train.learning_rate'"),
        ("data.splits.tset=[]", "did you mean 'data.splits.test'"),
        ("data.splits.test=[{file: a}]", "did you mean 'data.splits.test.files'"),
        ("data.region={north: 3, south: 1, west: 2, est: 4}", "did you mean 'data.region.west'"),
        ("data.patch=100", "data.patch=100"),
        ("data.variables=[u]", "add tp"),
        ("sample.turn=true", "set sample.turn=false"),
        ("train.steps=many", "train.steps='many'"),
        ("train.steps=0", "greater than or equal to 1"),
        ("train.precision=float16", "'float32' or 'bfloat16'"),
        ("train.learning_rate=nan", "train.learning_rate"),
        ("train.steps", "section.key=value"),
        ("steps=1", "section.key=value"),
        ("train.steps=[1", "not YAML"),
        ("data.splits.test=['2020-01-01T00+01:00']", "expected ISO times"),
    ],
)
def test_a_wrong_word_is_named_with_its_remedy(word, says):
    with pytest.raises(InputError) as caught:
        load_config(None, [word])
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- a\n", "expected sections"),
        ("train: [\n", "not YAML"),
        ("3", "sections"),
        ("train: {steps: " + "9" * 5000 + "}", "not YAML: Exceeds the limit"),
        ("a: " + "[" * 5000, "not YAML: maximum recursion"),
        # Ten such lines stand for more than any memory holds.
        ("train: &a [1, 2]\nmodel: [*a, *a, *a]", "aliases are not taken, write the value out"),
    ],
)
def test_a_file_that_is_no_config_is_named(tmp_path, text, says):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(InputError, match=says) as caught:
        load_config(tmp_path / "c.yaml")
    assert "c.yaml" in str(caught.value)


@pytest.mark.parametrize(
    "text", ['train: {"a\\nb": 1}', 'data: {splits: {train: [{period: "2019\\n21"}]}}']
)
def test_a_broken_line_in_a_file_stays_one_line_in_what_is_said(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as refused:
        load_config(path)
    assert len(str(refused.value).splitlines()) == 1


def test_no_object_is_made_from_a_file(tmp_path):
    (tmp_path / "c.yaml").write_text("train: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(InputError, match="not YAML"):
        load_config(tmp_path / "c.yaml")


def test_a_config_is_found_by_name_and_a_missing_one_is_told(tmp_path, monkeypatch):
    folder = tmp_path / "configs"
    folder.mkdir()
    (folder / "tiny.yaml").write_text("")
    monkeypatch.setattr("jaxrain.config.CONFIG_FOLDERS", (folder,))
    assert find_config("tiny") == find_config("configs/tiny.yaml") == folder / "tiny.yaml"
    with pytest.raises(InputError, match="tiny"):
        find_config("huge")


def test_first_difference_names_the_first_field_in_order():
    ours = load_config(None).train
    theirs = dataclasses.replace(ours, seed=7, batch_size=2)
    assert first_difference(ours, ours) is None
    assert first_difference(ours, theirs) == "batch_size: 16 here, 2 there"
    assert first_difference(ours, theirs, ignore=("batch_size",)) == "seed: 0 here, 7 there"


def test_off_is_a_word_and_not_yamls_no():
    assert load_config(None, ["sample.consistency=off"]).sample.consistency == "off"
    with pytest.raises(InputError, match="there are off, soft, hard"):
        load_config(None, ["sample.consistency=on"])


@pytest.mark.parametrize(
    "text",
    [
        "2024",
        "true",
        "off",
        'a "b" \\ c',
        "/data/\u6570\u636e",
        "\U00020bb7 \U0001f327",
        "\udcff",
        "",
    ],
)
def test_a_text_of_the_command_line_stays_as_it_is(text):
    assert load_config(None, [override("data.store", text)]).data.store == text
