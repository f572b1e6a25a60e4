from jaxrain.tuning.chains import Trial, pareto, recommended


def trial(seconds, crps_mm, steps=1):
    return Trial("dpmpp_2m", steps, seconds, crps_mm, 1.0)


def test_the_fastest_within_the_tolerance_is_recommended():
    trials = [trial(1, 1.2), trial(2, 1.005), trial(3, 1.008), trial(9, 1.0)]
    assert recommended(trials, 0.01) == trials[1]
    assert recommended(trials, 0.0) == trials[3]
    assert recommended(trials, 0.5) == trials[0]


def test_the_front_holds_what_none_beats():
    trials = [trial(3, 0.9), trial(1, 1.2), trial(2, 1.3), trial(4, 0.9), trial(1, 1.1)]
    assert pareto(trials) == [trial(1, 1.1), trial(3, 0.9)]
