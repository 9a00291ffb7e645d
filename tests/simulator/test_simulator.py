"""The simulator in its small form; `make simulate` is the large one."""

from __future__ import annotations

import pytest

from tests.simulator.__main__ import PAGE
from tests.simulator.choices import Choices, shrunk
from tests.simulator.exhaustive import CASES, Case, Explorer
from tests.simulator.hub import Place
from tests.simulator.planted import PLANTED, Planted
from tests.simulator.runs import run, simplest, until_broken
from tests.simulator.story import Scale

pytestmark = pytest.mark.slow

SMALL = Scale()
RUNS_MAX = 300
"""By which a planted bug is found that is not rare."""
LARGE = Scale(messages=8, consumers=3, folds=2, readers=1, faults=8)

BY_ORDER = {
    (0, 0): (
        *("markers without a condition", "a duplicate drops its group"),
        *("segments of duplicates are kept", "the time in the digest"),
        *("looked up rather than conditioned", "segments named by time alone"),
        *("pairs added anew", "halves not kept", "halves remembered from the first look"),
        "every segment is deleted",
    ),
    (1, 0): (
        *("segments deleted first", "targets and fold-state apart", "fold-state unconditional"),
        *("progress forgotten", "halves of lost folds are read", "a lost race is done"),
    ),
    (2, 0): ("counted before it is stored", "readers trust the first look"),
    (0, 1): (
        *("a conflict is a duplicate", "faults of AWS swallowed", "every fault is the message's"),
        *("burials that never arrive", "delivered again is counted", "a lost answer is success"),
        *("remembered before it is counted", "UnprocessedItems ignored"),
    ),
}
"""By case and faults. What the others need, as senders, pages, limits, later hours, the small stories have not."""


def planted(name: str) -> Planted:
    return next(bug for bug in PLANTED if bug.name == name)


def told() -> dict[str, int]:
    """Planted bug → the runs until it is found, from seed 0 on, as the page has them, in its order."""
    table = PAGE.read_text(encoding="utf-8").split("bench:simulator-planted -->")[1]
    rows = [line.split("|")[1:3] for line in table.splitlines() if line.startswith("|")]
    return {name.strip(): int(runs.replace(",", "")) for name, runs in rows[2:]}


class TestPromises:
    @pytest.mark.parametrize(("scale", "runs"), [(SMALL, 60), (LARGE, 10)], ids=["small", "large"])
    def test_acknowledged_spans_count_once_whatever_happens(self, scale, runs):
        """Whatever happens on the way, what was acknowledged counts once, to the byte; readers see whole commits."""
        search = until_broken(range(runs), scale)
        assert search.broken is None, search.broken

    def test_every_order(self):
        """Two consumers with a message in common and a fold: every order of their calls comes to the same."""
        search = Explorer(CASES[0]).search(1_000)
        assert search.broken is None, search.broken
        assert search.runs > 30

    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
    def test_one_fault(self, case):
        """A fault at a call, in the orders that are tried first."""
        search = Explorer(case, faults_max=1).search(80)
        assert search.broken is None, search.broken


class TestItself:
    """A simulator that finds nothing must be one that can."""

    @pytest.mark.parametrize(
        "bug", [bug for bug in PLANTED if not bug.is_rare], ids=lambda bug: bug.name
    )
    def test_a_planted_bug_is_found_and_found_again(self, bug):
        """A bug that is put in is found, and by the same choices again.

        The search begins where the page says that `make simulate` found it: if that is no longer so, it takes longer.
        """
        begin = told().get(bug.name, 1) - 1
        broken = until_broken(range(begin, begin + RUNS_MAX), SMALL, bug.plant).broken
        assert broken
        assert run(Choices(broken.choices), SMALL, bug.plant) == broken

    @pytest.mark.parametrize(
        ("case", "faults", "name"),
        [(case, faults, name) for (case, faults), names in BY_ORDER.items() for name in names],
    )
    def test_planted_by_order(self, case, faults, name):
        """A bug that bites in a small story is found by its orders."""
        search = Explorer(CASES[case], faults, planted(name).plant).search(400)
        assert search.broken
        assert search.broken.kind == "Broken"

    def test_the_page_has_a_row_for_each_planted_bug(self):
        """The page's table has a row for each planted bug, in their order, and no other."""
        assert list(told()) == [bug.name for bug in PLANTED]

    def test_many_planted(self):
        """No name stands twice."""
        assert len({bug.name for bug in PLANTED}) == len(PLANTED) >= 20

    def test_the_same_choices_are_the_same_run(self):
        """The same choices are the same run, call by call."""
        drawn = run(Choices(seed=7), SMALL)
        assert len(drawn.told) > 50
        assert run(Choices(drawn.choices), SMALL) == drawn

    @pytest.mark.parametrize("name", ["segments deleted first", "a conflict is a duplicate"])
    def test_leaving_out_what_is_not_needed_keeps_the_failure(self, name):
        """What is broken stays broken, and takes no longer, while everything is left out that need not be."""
        plant, begin = planted(name).plant, told().get(name, 1) - 1
        broken = until_broken(range(begin, begin + RUNS_MAX), SMALL, plant).broken
        assert broken
        simple = simplest(broken, SMALL, plant)
        assert simple.kind == broken.kind == "Broken"
        assert sum(map(bool, simple.choices)) < sum(map(bool, broken.choices))
        assert simple.steps <= broken.steps
        again = run(Choices(simple.choices), SMALL, plant)
        assert (again.broken, again.told) == (simple.broken, simple.told)

    def test_no_end(self):
        """A run that comes to no end is told as that, and never taken for a simpler one with a broken promise."""
        drawn = run(Choices(seed=7), SMALL)
        assert run(Choices(seed=7), SMALL, steps_max=drawn.steps) == drawn
        endless = run(Choices(seed=7), SMALL, steps_max=drawn.steps - 1)
        assert (endless.kind, endless.steps) == ("Endless", drawn.steps - 1)

    def test_orders_left_out(self):
        """Orders that are left out come to nothing new: leaving none out finds the same ends."""
        case = Case("a consumer, a fold", ((1,),))
        few, all_ = Explorer(case), Explorer(case, leaves_out=False)
        runs_few, runs_all = few.search(10_000).runs, all_.search(10_000).runs
        assert few.ends == all_.ends
        assert 1 < len(few.ends) <= runs_few < runs_all


class TestShrunk:
    def test_shrinking_keeps_what_the_failure_needs(self):
        """What the failure needs is kept, nothing else."""
        choices = [3, 0, 7, 1, 9, 0, 2]
        assert shrunk(choices, lambda given: 9 in given) == [9]
        assert shrunk(choices, lambda given: sum(given) > 4) in ([5], [6], [7], [9])

    def test_all_needed(self):
        """What cannot be made simpler stays as it is."""
        assert shrunk([1, 1], lambda given: list(given) == [1, 1]) == [1, 1]

    def test_shrinking_tries_again_after_each_change(self):
        """What can be left out only after a number was made smaller is left out as well."""
        failing = ([6, 1], [3, 1], [3])
        assert shrunk([6, 1], lambda given: list(given) in failing) == [3]


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        (Place("a"), Place("b"), False),
        (Place("a"), Place("a", 1, 1), True),
        (Place("a", 1, 2), Place("a", 3, 3), False),
        (Place("a", 1, 3), Place("a", 3, 3), True),
    ],
)
def test_calls_meet_where_their_ranges_do(one, other, meet):
    """Calls of one partition meet where their ranges do, whoever is asked."""
    assert one.meets(other) is other.meets(one) is meet
