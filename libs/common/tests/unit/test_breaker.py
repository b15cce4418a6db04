"""The circuit breaker, by its states."""

from reelay.common.storage.breaker import Circuit, CircuitBreaker


class Clock:
    """Time that the test moves."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def opened(clock: Clock) -> CircuitBreaker:
    breaker = CircuitBreaker(threshold=3, cool_down_s=5, clock=clock)
    for _ in range(3):
        breaker.failed()
    return breaker


def test_closed_circuit_opens_at_the_last_of_several_failures_in_a_row() -> None:
    breaker = CircuitBreaker(threshold=3, cool_down_s=5, clock=Clock())
    assert [breaker.failed() for _ in range(4)] == [False, False, True, False]
    assert breaker.state is Circuit.OPEN
    assert not breaker.lets_pass()


def test_success_in_between_starts_the_count_anew() -> None:
    breaker = CircuitBreaker(threshold=3, cool_down_s=5, clock=Clock())
    for _ in range(10):
        breaker.failed()
        breaker.failed()
        breaker.succeeded()
    assert breaker.state is Circuit.CLOSED
    assert breaker.lets_pass()


def test_after_the_cool_down_one_request_tries_and_no_other() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now_s += 4.9
    assert not breaker.lets_pass()
    clock.now_s += 0.2
    assert [breaker.lets_pass() for _ in range(3)] == [True, False, False]
    assert breaker.state is Circuit.HALF_OPEN


def test_trial_that_succeeds_closes_and_one_that_fails_opens_again() -> None:
    for outcome, expected in ((True, Circuit.CLOSED), (False, Circuit.OPEN)):
        clock = Clock()
        breaker = opened(clock)
        clock.now_s += 5
        assert breaker.lets_pass()
        if outcome:
            breaker.succeeded()
        else:
            breaker.failed()
        assert breaker.state is expected
        assert breaker.lets_pass() is outcome


def test_trial_whose_outcome_is_never_told_does_not_lock_the_server_out_for_ever() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now_s += 5
    assert breaker.lets_pass()
    clock.now_s += 5
    assert breaker.lets_pass()
