"""What a scan arms: order of mappings, both budgets, wrapping, and what is left out for whom."""

from __future__ import annotations

from numasim.balancing.scanner import Scanner, Vma, pid_bit
from numasim.balancing.tunables import Tunables
from numasim.mapping import Mapping
from numasim.pages import MappingPages

MIB, S = 1 << 20, 1_000_000_000
SETTINGS = Tunables(scan_size_mb=4)


class Arms:
    """Notes what is asked for; `full` are mappings whose pages are there to be armed."""

    def __init__(self, *full: str) -> None:
        self.full, self.calls = full, []

    def __call__(self, pages: MappingPages, first: int, last: int) -> int:
        self.calls.append((pages.mapping.name, first // MIB, last // MIB))
        return (last - first) // 4096 if pages.mapping.name in self.full else 0


def vma(name: str, start_mib: int, size_mib: int, skipped: bool = False) -> Vma:
    made = Mapping(name=name, size=f"{size_mib} MiB")
    pages = MappingPages(0, made, start_mib * MIB, 0, size_mib * 256, 1)
    return Vma(pages, size_mib * MIB, skipped)


def scan(scanner: Scanner, arms: Arms, now_s: float = 0.0, tid: int = 1, threads: int = 1) -> list:
    arms.calls.clear()
    scanner.scan(int(now_s * S), tid, threads, SETTINGS, arms)
    return list(arms.calls)


def test_one_scan_takes_its_size_and_goes_on_where_it_stopped():
    scanner, arms = Scanner([vma("b", 16, 6), vma("a", 4, 6)], 0), Arms("a", "b")
    assert scan(scanner, arms) == [("a", 0, 4)]
    assert scan(scanner, arms, 2) == [("a", 4, 6), ("b", 0, 2)]
    assert scan(scanner, arms, 4) == [("b", 2, 6)]
    assert scanner.sequence == 0
    assert scan(scanner, arms, 6) == [("a", 0, 4)]
    assert scanner.sequence == 1


def test_what_arms_nothing_costs_only_the_larger_budget():
    """Eight scans' worth of address space may be passed over."""
    scanner, arms = Scanner([vma("a", 0, 30), vma("b", 32, 8)], 0), Arms("b")
    assert scan(scanner, arms)[-2:] == [("a", 28, 30), ("b", 0, 4)]
    scanner, arms = Scanner([vma("a", 0, 40)], 0), Arms()
    assert scan(scanner, arms)[-1] == ("a", 28, 32)
    assert scan(scanner, arms, 2) == [("a", 32, 36), ("a", 36, 40)]


def test_chunks_end_on_two_mib():
    scanner, arms = Scanner([vma("a", 1, 9)], 0), Arms("a")
    assert scan(scanner, arms) == [("a", 0, 5)], "from 1 MiB: up to 5 MiB, rounded up to 6"


def test_the_end_of_the_mappings_ends_the_scan():
    scanner, arms = Scanner([vma("a", 0, 2)], 0), Arms("a")
    assert scan(scanner, arms) == [("a", 0, 2)]
    assert (scanner.sequence, scanner.offset) == (1, 0)


def test_a_new_mapping_rests_for_a_scan_delay_after_the_first_sequence():
    scanner, arms = Scanner([vma("a", 0, 2)], 0), Arms("a")
    assert scan(scanner, arms, 1.0)
    assert not scan(scanner, arms, 1.9)
    assert scan(scanner, arms, 2.1)


def test_what_is_not_migratable_is_left_out():
    scanner, arms = Scanner([vma("lib", 0, 2, skipped=True), vma("a", 4, 2)], 0), Arms("lib", "a")
    assert scan(scanner, arms) == [("a", 0, 2)]


def test_threads_scan_what_they_use():
    """Twice everybody scans all; then only who faulted there, until the others' patience ends."""
    scanner, arms = Scanner([vma("a", 0, 2), vma("b", 4, 2)], 0), Arms("a", "b")
    both = [("a", 0, 2), ("b", 0, 2)]
    assert scan(scanner, arms, 0, threads=8) == both
    assert scan(scanner, arms, 2, threads=8) == both
    scanner.vmas[1].recent = pid_bit(7)
    assert scan(scanner, arms, 3, tid=7, threads=8) == [("b", 0, 2), ("a", 0, 2)], (
        "its own, then one by force"
    )


def test_a_generation_of_users_is_forgotten_after_two_resets():
    scanner, arms = Scanner([vma("a", 0, 2)], 0), Arms("a")
    one = scanner.vmas[0]
    one.recent = pid_bit(7)
    for now in (0, 2, 4):
        scan(scanner, arms, now, tid=7)
    assert (one.recent, one.before) == (pid_bit(7), 0)
    scan(scanner, arms, 5.5, tid=7)
    assert (one.recent, one.before) == (0, pid_bit(7))
    scan(scanner, arms, 9.5, tid=7)
    assert (one.recent, one.before) == (0, 0)


def test_pid_bits_spread():
    assert len({pid_bit(tid) for tid in range(1000, 1064)}) > 48
    assert all(pid_bit(tid).bit_count() == 1 for tid in range(2000))
