"""The watchdog's judgement, tick by tick."""

from engine.watchdog import Verdict, Watchdog

TICK_S = 0.5


class Watched:
    """A watchdog and a clock; `run` ticks like the guard does."""

    def __init__(self, stall_after_s: float = 10, kill_after_s: float = 20) -> None:
        self.now_s = 1000.0
        self.watchdog = Watchdog(
            stall_after_s=stall_after_s, kill_after_s=kill_after_s, tick_s=TICK_S, now_s=self.now_s
        )

    def run(self, seconds: float, *, answered: bool = False) -> list[Verdict]:
        """The verdicts of so many seconds; `answered` means that every ping is answered."""
        verdicts = []
        for _ in range(int(seconds / TICK_S)):
            self.now_s += TICK_S
            verdicts.append(self.watchdog.check(self.now_s))
            if answered and verdicts[-1] is Verdict.PING:
                self.watchdog.pulse()
        return verdicts


def test_a_working_engine_is_left_in_peace() -> None:
    watched = Watched()
    for _ in range(20):
        assert set(watched.run(4)) == {Verdict.OK}
        watched.watchdog.pulse()


def test_an_idle_engine_is_pinged_at_a_low_rate() -> None:
    verdicts = Watched().run(60, answered=True)
    assert set(verdicts) == {Verdict.OK, Verdict.PING}
    assert verdicts.count(Verdict.PING) == 12


def test_silence_is_a_stall_within_the_stall_time() -> None:
    verdicts = Watched().run(10)
    assert verdicts.index(Verdict.PING) == 9  # after half of it
    assert verdicts[-1] is Verdict.STALLED
    assert Verdict.STALLED not in verdicts[:-1]


def test_the_kill_time_counts_from_the_start_of_the_stall() -> None:
    verdicts = Watched().run(30)
    assert verdicts.index(Verdict.DEAD) == 59
    assert Verdict.DEAD not in verdicts[:59]


def test_a_stall_passes_with_the_first_pulse() -> None:
    watched = Watched()
    watched.run(15)
    watched.watchdog.pulse()
    assert watched.run(4)[0] is Verdict.OK
    # and a later stall has its whole kill time again
    assert Verdict.DEAD not in watched.run(25)


def test_a_stalled_engine_is_not_flooded_with_pings() -> None:
    assert Watched().run(29).count(Verdict.PING) <= 6


def test_our_own_pause_is_not_the_engines_silence() -> None:
    watched = Watched()
    watched.run(2)
    watched.now_s += 3600  # a laptop's lid, a stopped container
    assert watched.watchdog.check(watched.now_s) is Verdict.OK
    assert watched.watchdog.silence_s < 10
