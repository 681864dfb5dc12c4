"""The controller pushes until pairs die at the wanted rate, and says where they resist."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from crlso.supernet.methods.controller import Controller, ControllerSettings

DEATHS = st.lists(st.integers(0, 3), max_size=60)


def quick(**changes):
    """Settings in powers of two, whose products are exact."""
    constants = {"gamma": 1, "gamma_max": 4, "growth": 2, "relaxation": 0.5, "rate": 1, "patience": 2}
    return ControllerSettings(
        **{**constants, "smoothing": 0.5, "mu": 1, "escalation": 3, "rate_growth": 0.5, **changes}
    )


def test_the_rule_by_hand():
    controller = Controller(quick())
    by_hand = (
        # died, n = (n + died) / 2, gamma, waited, plateau
        (0, 0, 2, 0, False),
        (0, 0, 4, 0, False),
        (4, 2, 2, 0, False),
        (0, 1, 1, 0, False),  # the wanted rate itself is too much already
        (0, 0.5, 2, 0, False),
        (0, 0.25, 4, 0, False),
        (0, 0.125, 8, 1, False),  # gamma had come to its maximum before
        (0, 0.0625, 16, 0, True),  # from here on the rate is 0.5 and mu 3
        (1, 0.53125, 8, 0, False),
        (0, 0.265625, 16, 1, False),
        (2, 1.1328125, 8, 0, False),  # what was waited for is forgotten
        (0, 0.56640625, 4, 0, False),
        (0, 0.283203125, 8, 1, False),
        (0, 0.1416015625, 16, 0, True),
    )
    for died, deaths, gamma, waited, plateau in by_hand:
        assert controller.update(died) == plateau
        assert (controller.deaths, controller.gamma, controller.waited) == (deaths, gamma, waited)
    assert (controller.mu, controller.rate) == (9, 0.25)


@given(growth=st.floats(1.01, 3), ratio=st.floats(0.5, 50), patience=st.integers(1, 7), escalation=st.floats(1, 2))
def test_without_deaths_it_pushes_to_the_maximum_and_then_marks_a_plateau_every_patience(
    growth, ratio, patience, escalation
):
    settings = quick(growth=growth, gamma_max=ratio, patience=patience, escalation=escalation)
    controller, resisted = Controller(settings), 0
    for look in range(1, 60):
        resisted += controller.gamma >= settings.gamma_max
        assert controller.update(0) == (resisted > 0 and resisted % patience == 0)
        assert controller.gamma == pytest.approx(growth**look)
        assert controller.mu == pytest.approx(escalation ** (resisted // patience))


@given(smoothing=st.floats(0, 0.99), relaxation=st.floats(0.5, 0.99), died=st.integers(1, 20))
def test_while_too_much_dies_it_relaxes_and_marks_nothing(smoothing, relaxation, died):
    settings = quick(gamma=100, smoothing=smoothing, relaxation=relaxation, rate=0.9 * (1 - smoothing))
    controller = Controller(settings)
    for look in range(1, 20):
        assert not controller.update(died)
        assert controller.gamma == pytest.approx(100 * relaxation**look)
    assert (controller.mu, controller.rate) == (settings.mu, settings.rate)


@given(died=DEATHS, patience=st.integers(1, 5))
def test_a_plateau_is_patience_in_a_row_and_mu_and_rate_change_there_alone(died, patience):
    settings = quick(patience=patience, rate_growth=0.75)
    controller, row, plateaus = Controller(settings), 0, 0
    for count in died:
        wanted, pushing = controller.rate, controller.gamma >= settings.gamma_max
        plateau = controller.update(count)
        row = row + 1 if pushing and controller.deaths < wanted else 0
        assert plateau == (row == patience)
        row, plateaus = (0, plateaus + 1) if plateau else (row, plateaus)
        assert controller.mu == pytest.approx(settings.escalation**plateaus)
        assert controller.rate == pytest.approx(settings.rate_growth**plateaus)


@given(before=DEATHS, after=DEATHS)
def test_a_saved_controller_goes_on_as_if_nothing_had_been(before, after):
    settings = quick(gamma=0.3, growth=1.7, smoothing=0.9, rate=0.4)
    controller, other = Controller(settings), Controller(settings)
    for count in before:
        controller.update(count)
    other.load(json.loads(json.dumps(controller.state())))
    for count in after:
        assert other.update(count) == controller.update(count)
        assert other.state() == controller.state()


@pytest.mark.parametrize("changes", [{"smoothing": 1.0}, {"smoothing": -0.1}, {"patience": 0}, {"growth": 0.0}])
def test_constants_that_make_no_rule_are_refused(changes):
    with pytest.raises(ValidationError, match=next(iter(changes))):
        ControllerSettings(**changes)
