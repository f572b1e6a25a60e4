import json

import numpy as np
import pytest

from jaxrain.training.metrics import Screen, duration, open_metrics, open_screen


def test_lines_after_the_checkpoint_and_half_lines_go(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 5, "loss": 1}\n{"step": 10, "loss": 1}\n{"step": 15, "lo')
    with open_metrics(tmp_path, step=5) as log:
        log.write(10, {"loss": 2.0})
    first, second = (json.loads(line) for line in path.read_text().splitlines())
    assert first == {"step": 5, "loss": 1}
    assert (second["step"], second["loss"]) == (10, 2.0)
    assert second["time"] > 1.6e9


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (42, "42 s"), (90, "1.5 min"), (9000, "2.5 h"), (2e5, "2.3 d"), (np.inf, "?")],
)
def test_time_is_said_as_people_do(seconds, said):
    assert duration(seconds) == said


def test_elsewhere_than_on_a_terminal_lines_are_plain(capsys):
    with open_screen(100, 0) as screen:
        screen.advance(50)
        screen.show(50, 0.125, 10.0)
        screen.say("hello")
    assert capsys.readouterr().out == "step 50/100  loss 0.125  10 steps/s  5 s left\nhello\n"


def test_on_a_terminal_there_is_a_bar(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    with open_screen(100, 20) as screen:
        screen.show(50, 0.125, 10.0)
        progress, task = screen.bar
        assert progress.tasks[task].completed == 50
        assert "loss 0.125" in progress.tasks[task].fields["told"]
    assert isinstance(screen, Screen)
