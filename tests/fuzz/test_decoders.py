"""Damaged input of every kind, seeded: only declared errors, work bounded by size, and good neighbours are stored."""

from __future__ import annotations

import pytest

from tests.fuzz.decoders import DECODERS, corpus_of
from tests.fuzz.fuzz import Fuzzer, check

STEPS = 150


@pytest.mark.parametrize("name", DECODERS)
def test_kept_inputs(name):
    """Every input of the corpus, whole: real ones are read, and what was once read wrongly is refused."""
    assert corpus_of(name)
    for data in corpus_of(name):
        check(name, data, is_measured=True)


@pytest.mark.parametrize("name", DECODERS)
def test_damaged_inputs(name):
    """What is damaged is refused as declared or goes all the way, with no more work than its size allows."""
    fuzzer = Fuzzer(name, 1)
    for _ in range(STEPS):
        fuzzer.step()
