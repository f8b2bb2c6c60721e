"""A plain twin of DAMON's core: one object per region, one loop per rule, sample by sample.

Written from the specification (sections in the margin), without looking at the fast code and
without sharing any of it. Only descriptions (`numasim.damon.spec`) are common.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from numasim.damon.spec import AccessPattern, Attrs, Context, Filter, Quota, Scheme

M32, M64 = 2**32, 2**64
Draw = Callable[[], int]


def AD(x: int, a: int) -> int:
    return x // a * a


def AU(x: int, a: int) -> int:
    return (x + a - 1) // a * a


def MF(x: int, n: int, d: int, modulus: int = M64) -> int:
    return (x // d * n + x % d * n % modulus // d) % modulus


@dataclass(eq=False)
class R:
    """A region."""

    start: int
    end: int
    nr: int = 0
    last: int = 0
    age: int = 0

    @property
    def size(self) -> int:
        return self.end - self.start

    def row(self) -> tuple[int, int, int, int, int]:
        return (self.start, self.end, self.nr, self.last, self.age)


Target = list[R]


def rows(target: Target) -> list[tuple[int, int, int, int, int]]:
    return [r.row() for r in target]


def from_rows(table: Any) -> Target:
    return [R(*row) for row in table]


def total(targets: list[Target]) -> int:
    return sum(len(t) for t in targets)


# 4. region construction


def set_regions(target: Target, ranges: list[tuple[int, int]], unit: int) -> bool:
    previous = 0
    for n, (start, end) in enumerate(ranges):
        s, e = AD(start, unit), AU(end, unit)
        if not (s < e and (n == 0 or s >= previous)):
            return False
        previous = e

    def meets(r: R, span: tuple[int, int]) -> bool:
        return not (r.end <= span[0] or span[1] <= r.start)

    target[:] = [r for r in target if any(meets(r, span) for span in ranges)]
    if not target:
        target[:] = [R(AD(s, unit), AU(e, unit)) for s, e in ranges]
        return True
    cursor = 0
    for span in ranges:
        first = last = None
        while cursor < len(target) and target[cursor].start < span[1]:
            if meets(target[cursor], span):
                first = target[cursor] if first is None else first
                last = target[cursor]
            cursor += 1
        if first is None or last is None:
            target.insert(cursor, R(AD(span[0], unit), AU(span[1], unit)))
            cursor += 1
            continue
        first.start, last.end = AD(span[0], unit), AU(span[1], unit)
        place = target.index(first)
        while target[place] is not last:
            if target[place].end != target[place + 1].start:
                target.insert(place + 1, R(target[place].end, target[place + 1].start))
                place += 1
                cursor += 1
            place += 1
    return True


def raw_limit(targets: list[Target], min_nr: int, unit: int) -> int:
    return max(sum(r.size for t in targets for r in t) // min_nr, unit)


def apply_min(targets: list[Target], min_nr: int, unit: int) -> int:
    most = AU(raw_limit(targets, min_nr, unit), unit)
    for target in targets:
        i = 0
        while i < len(target):
            while target[i].size > most:
                split_at(target, i, most)
                i += 1
            i += 1
    return most


def split_at(target: Target, i: int, left: int) -> None:
    r = target[i]
    target.insert(i + 1, R(r.start + left, r.end, r.nr, r.last, r.age))
    r.end = r.start + left


# 5. counters


def mvsum(r: R, left: int, window: int) -> int:
    bp = MF(left, 10000, window)
    return r.last if bp == 10000 else r.nr + MF(r.last, bp, 10000)


def reset(targets: list[Target]) -> None:
    for target in targets:
        for r in target:
            r.last, r.nr = r.nr, 0


# 6. adaptive regions


def merge_two(left: R, right: R) -> None:
    both = left.size + right.size
    left.nr = (left.nr * left.size + right.nr * right.size) % M64 // both
    left.age = (left.age * left.size + right.age * right.size) % M64 // both
    left.end = right.end


def merge_pass(target: Target, threshold: int, limit: int, count_age: bool) -> None:
    prev, kept = None, []
    for r in target:
        if count_age:
            if abs(r.nr - r.last) > threshold or (r.nr == 0) != (r.last == 0):
                r.age = 0
            else:
                r.age += 1
        if (
            prev is not None
            and prev.end == r.start
            and abs(r.nr - prev.nr) <= threshold
            and prev.size + r.size <= limit
        ):
            merge_two(prev, r)
        else:
            prev = r
            kept.append(r)
    target[:] = kept


def merge_regions(
    targets: list[Target], threshold: int, limit: int, max_thres: int, max_nr: int
) -> None:
    count_age = True
    while True:
        for target in targets:
            merge_pass(target, threshold, limit, count_age)
        count_age = False
        if total(targets) <= max_nr or threshold >= max_thres:
            return
        threshold = max(1, 2 * threshold) if threshold < max_thres // 2 else max_thres


def split_all(target: Target, nr_subs: int, draw: Draw, unit: int) -> None:
    after: Target = []
    for r in target:
        pieces = [r]
        size = r.size
        for _ in range(nr_subs - 1):
            if size <= 2 * unit:
                break
            sub = AD(draw() * size // 10, unit)
            if sub == 0 or sub >= size:
                continue
            split_at(pieces, 0, sub)
            size = sub
        after += pieces
    target[:] = after


def split_some(targets: list[Target], step: int, rotation: int, draw: Draw, unit: int) -> None:
    offset = rotation % step
    number = 0
    for target in targets:
        after: Target = []
        for r in target:
            pieces = [r]
            if number % step == offset and r.size >= 2 * unit:
                sub = AD(draw() * r.size // 10, unit)
                if 0 < sub < r.size:
                    split_at(pieces, 0, sub)
            number += 1
            after += pieces
        target[:] = after


def split_regions(
    targets: list[Target], shared: dict[str, int], draw: Draw, unit: int, max_nr: int
) -> None:
    n = total(targets)
    if n >= max_nr:
        pass
    elif n > max_nr // 2:
        split_some(targets, max_nr // (max_nr - n), shared["rotation"], draw, unit)
        shared["rotation"] += 1
    else:
        k = 3 if shared["last_nr_regions"] == n and n < max_nr // 3 else 2
        for target in targets:
            split_all(target, k, draw, unit)
    shared["last_nr_regions"] = n


# 2. attributes


def nsamp(attrs: Attrs) -> int:
    return min(attrs.aggr_us // max(attrs.sample_us, 1), M32 - 1) or 1


def convert(targets: list[Target], old: Attrs, new: Attrs, aggregating: bool) -> None:
    if 0 in (old.sample_us, old.aggr_us, new.sample_us, new.aggr_us):
        return

    def conv(n: int) -> int:
        return MF(n, 10000, nsamp(old), M32) * nsamp(new) % M32 // 10000

    for target in targets:
        for r in target:
            r.last = conv(r.last)
            r.nr = 0 if aggregating else conv(r.nr)
            r.age = r.age * old.aggr_us % M64 // new.aggr_us % M32


# 8. quota


def feed(last: int, score: int) -> int:
    if score == 10000:
        return last
    if score >= 20000:
        return 10000
    d = abs(score - 10000)
    comp = last * d // 10000 if last < (M64 - 1) // d else last // 10000 * d
    if score > 10000:
        return max(last - comp, 10000)
    return min(last + comp, M64 - 1)


def hotness(mv: int, age: int, attrs: Attrs, quota: Quota) -> int:
    f = MF(mv, 100, nsamp(attrs), M32)
    seconds = age * attrs.aggr_us % M64 // 1000000 % M32
    al = min(seconds.bit_length(), 32)
    ag = ((-al if f == 0 else al) + 32) * 100 // 32 // 2
    wf, wa = quota.weight_nr_accesses, quota.weight_age
    h = wf * f + wa * ag
    if wf + wa:
        h //= wf + wa
    return min(max(h * 99 // 100, 0), 99)


def score(kind: str, mv: int, age: int, attrs: Attrs, quota: Quota) -> int:
    if kind == "flat":
        return 99
    h = hotness(mv, age, attrs, quota)
    return h if kind == "hot" else 99 - h


def matches(pattern: AccessPattern, r: R, mv: int) -> bool:
    return (
        pattern.min_sz <= r.size <= pattern.max_sz
        and pattern.min_nr_accesses <= mv <= pattern.max_nr_accesses
        and pattern.min_age <= r.age <= pattern.max_age
    )


@dataclass
class TwinScheme:
    spec: Scheme
    next_apply: int = 0
    activated: bool = True
    esz: int = 0
    esz_bp: int = 0
    charged: int = 0
    charged_from: int = 0
    total_sz: int = 0
    total_ns: int = 0
    position_target: int | None = None
    position: int = 0
    min_score: int = 0
    stat: list[int] = field(default_factory=lambda: [0] * 7)
    goals: list[int] = field(default_factory=list)

    @property
    def is_set(self) -> bool:
        q = self.spec.quota
        return bool(self.esz or q.sz or q.ms or q.goals)

    def full(self, unit: int) -> bool:
        return self.is_set and (self.charged >= self.esz or self.esz - self.charged < unit)


class Twin:
    """A context. `ops` is the test stand's; `accessed(addr, tick)` is the truth."""

    def __init__(
        self,
        spec: Context,
        ops: Any,
        accessed: Callable[[int, int], bool],
        draw: Draw,
        shared: dict[str, int],
        unit: int,
        tick_ns: int,
        free_permil: Callable[[int], int] = lambda now_ns: 0,
    ) -> None:
        self.spec, self.ops, self.accessed, self.draw, self.shared = (
            spec,
            ops,
            accessed,
            draw,
            shared,
        )
        self.unit, self.tick_ns, self.free_permil = unit, tick_ns, free_permil
        self.attrs = spec.attrs
        self.targets: list[Target] = [[] for _ in spec.targets]
        self.schemes = [self._scheme(s) for s in spec.schemes]
        self.events: list[Any] = []
        self.passed = 0
        self.now = 0

    @staticmethod
    def _scheme(spec: Scheme) -> TwinScheme:
        return TwinScheme(spec, goals=[g.current_value for g in spec.quota.goals])

    @property
    def S(self) -> int:
        return self.attrs.sample_us or 1

    def mv(self, r: R) -> int:
        window = (self.attrs.aggr_us or 1) // (self.attrs.sample_us or 1)
        left = 0 if self.passed >= self.next_aggr else self.next_aggr - self.passed
        return mvsum(r, left, window)

    # 3. the loop

    def start(self, now: int) -> None:
        self.now = now
        self.passed = 0
        self.aggr_samples = self.attrs.aggr_us // self.S
        self.next_aggr = self.attrs.aggr_us // self.S
        self.next_update = self.attrs.ops_update_us // self.S
        self.next_tune = self.next_aggr * self.attrs.intervals_goal.aggrs
        for s in self.schemes:
            s.next_apply = (s.spec.apply_interval_us or self.attrs.aggr_us) // self.S
        for target, spec in zip(self.targets, self.spec.targets, strict=True):
            assert set_regions(target, list(spec.regions), self.unit)
        self.limit = apply_min(self.targets, self.attrs.min_nr_regions, self.unit)

    def wait(self) -> int:
        waits = []
        for s in self.schemes:
            w, m = s.spec.wmarks, self.free_permil(self.now)
            if w.metric == "none":
                waits.append(0)
            elif m > w.high or m < w.low:
                s.activated = False
                waits.append(w.interval_us)
            elif not s.activated and m >= w.mid:
                waits.append(w.interval_us)
            else:
                s.activated = True
                waits.append(0)
        return min(waits, default=0)

    def iterate(self, end: int, call: Callable[[], None] | None = None) -> None:
        na, no = self.next_aggr, self.next_update
        addresses = [r.start for t in self.targets for r in t]
        self.now = end
        self.passed += 1
        most = 0
        for r, addr in zip((r for t in self.targets for r in t), addresses, strict=True):
            r.nr += self.accessed(addr, self.passed)
            most = max(most, r.nr)
        if self.passed >= na:
            a = self.attrs
            merge_regions(
                self.targets, most // 10, self.limit, a.aggr_us // self.S, a.max_nr_regions
            )
            self.limit = apply_min(self.targets, a.min_nr_regions, self.unit)
        if call:
            call()
        if self.schemes:
            self.apply_schemes()
        if self.passed >= na:
            goal = self.attrs.intervals_goal
            if goal.aggrs and self.passed >= self.next_tune:
                self.next_aggr = na
                self.next_tune += self.aggr_samples * goal.aggrs
                self.tune()
            self.next_aggr = na + self.attrs.aggr_us // self.S
            self.events.append((self.passed, self.attrs, [rows(t) for t in self.targets]))
            reset(self.targets)
            split_regions(
                self.targets, self.shared, self.draw, self.unit, self.attrs.max_nr_regions
            )
        if self.passed >= no:
            self.next_update = no + self.attrs.ops_update_us // self.S
            for i, target in enumerate(self.targets):
                ranges = self.ops.update_ranges(i)
                if ranges is not None:
                    set_regions(target, ranges, 4096)

    # 7. tuning

    def tune(self) -> None:
        every = [r for t in self.targets for r in t]
        a = sum(r.size * r.nr for r in every) % M64
        mx = sum(r.size * self.aggr_samples for r in every) % M64
        t = mx * self.attrs.intervals_goal.access_bp % M64 // 10000 or 1
        ad = feed(100000000, MF(a, 10000, t)) // 10000
        if ad <= 10000:
            ad = 5000 + ad // 2
        if ad == 10000:
            return
        goal = self.attrs.intervals_goal
        ns = min(goal.max_sample_us, self.attrs.sample_us * ad // 10000)
        ns = max(goal.min_sample_us, ns)
        self.set_attrs(replace(self.attrs, sample_us=ns, aggr_us=ns * self.aggr_samples), False)

    def set_attrs(self, new: Attrs, by_user: bool) -> None:
        s = new.sample_us or 1
        aggregating = self.passed < self.next_aggr
        if by_user:
            self.aggr_samples = new.aggr_us // s
        self.next_aggr = self.passed + new.aggr_us // s
        self.next_update = self.passed + new.ops_update_us // s
        convert(self.targets, self.attrs, new, aggregating)
        self.attrs = new
        for scheme in self.schemes:
            scheme.next_apply = self.passed + (scheme.spec.apply_interval_us or new.aggr_us) // s

    # 2.3 commit (of valid contexts)

    def commit(self, new: Context) -> None:
        kept = self.schemes[: len(new.schemes)]
        for s, spec in zip(kept, new.schemes, strict=False):
            old_goals = s.spec.quota.goals
            values = []
            for i, goal in enumerate(spec.quota.goals):
                keeps = i < len(old_goals) and goal.metric != "user_input"
                values.append(s.goals[i] if keeps else goal.current_value)
            s.spec, s.goals, s.activated = spec, values, True
        self.schemes = kept + [self._scheme(spec) for spec in new.schemes[len(kept) :]]
        for target, spec in zip(self.targets, new.targets, strict=True):
            spans: list[list[int]] = []
            for start, end in spec.regions:
                if spans and spans[-1][1] == start:
                    spans[-1][1] = end
                else:
                    spans.append([start, end])
            if spans:
                assert set_regions(target, [(a, b) for a, b in spans], self.unit)
        if new.attrs != self.attrs:
            self.set_attrs(new.attrs, True)

    # 8.2

    def adjust(self, s: TwinScheme) -> None:
        if not s.is_set:
            return
        now = self.now // self.tick_ns + 1
        ms = s.spec.quota.reset_interval_ms % M32
        length = -(-ms * 1000000 // self.tick_ns) if ms < 2**31 else 2**62
        if s.total_sz == 0 and s.charged_from == 0:
            s.charged_from = now
            self.compute_esz(s)
        if not s.charged_from <= now < s.charged_from + length:
            if s.full(self.unit):
                s.stat[5] += 1
            s.total_sz += s.charged
            s.charged_from, s.charged = now, 0
            self.compute_esz(s)
        kind = self.ops.score_kind(s.spec.action)
        if kind is None:
            return
        histogram, top = [0] * 100, 0
        for i, target in enumerate(self.targets):
            at = 0
            while at < len(target):
                r = target[at]
                if matches(s.spec.pattern, r, self.mv(r)) and not self.filtered(s, i, at):
                    p = score(kind, self.mv(r), r.age, self.attrs, s.spec.quota)
                    histogram[p] += r.size
                    top = max(top, p)
                at += 1
        cum, p = 0, top
        while True:
            cum += histogram[p]
            if cum >= s.esz or p == 0:
                break
            p -= 1
        s.min_score = p

    def compute_esz(self, s: TwinScheme) -> None:
        q = s.spec.quota
        if q.ms == 0 and not q.goals:
            s.esz = q.sz
            return
        e = M64 - 1
        if q.goals:
            pairs = zip(s.goals, q.goals, strict=True)
            best = max(MF(current, 10000, goal.target_value) for current, goal in pairs)
            if q.goal_tuner == "consist":
                s.esz_bp = feed(max(s.esz_bp, 10000), best)
            elif best >= 10000:
                s.esz_bp = 0
            else:
                s.esz_bp = q.sz * 10000 if 0 < q.sz <= (M64 - 1) // 10000 else M64 - 1
            e = s.esz_bp // 10000
        if q.ms:
            speed = MF(s.total_sz, 1000000, s.total_ns) if s.total_ns else 4096 * 1024
            e = min(e, max(speed * q.ms % M64, self.unit))
        if q.sz and q.sz < e:
            e = q.sz
        s.esz = e

    # 10.

    def filtered(self, s: TwinScheme, target_index: int, at: int) -> bool:
        target = self.targets[target_index]
        core = [f for f in s.spec.filters if f.type in ("addr", "target")]
        ops = [f for f in s.spec.filters if f.type not in ("addr", "target")]
        for f in core:
            if self._condition(f, target, target_index, at) == f.matching:
                return not f.allow
        return bool(not ops and core and core[-1].allow)

    def _condition(self, f: Filter, target: Target, target_index: int, at: int) -> bool:
        if f.type == "target":
            return f.target_idx == target_index
        r, low, high = target[at], AD(f.start, self.unit), AD(f.end, self.unit)
        if low <= r.start and r.end <= high:
            return True
        if r.end <= low or high <= r.start:
            return False
        if r.start < low:
            split_at(target, at, low - r.start)
            return False
        split_at(target, at, high - r.start)
        return True

    # 9.

    def apply_schemes(self) -> None:
        due = [s for s in self.schemes if self.passed >= s.next_apply and s.activated]
        for s in due:
            self.adjust(s)
        if not due:
            return
        limit = raw_limit(self.targets, self.attrs.min_nr_regions, self.unit)
        for i in range(len(self.targets)):
            if self.ops.target_valid(i):
                self.apply_target(i, limit)
            else:
                for s in self.schemes:
                    if s.position_target == i:
                        s.position_target, s.position = None, 0
        for s in self.schemes:
            if self.passed >= s.next_apply:
                interval = s.spec.apply_interval_us or self.attrs.aggr_us
                s.next_apply = self.passed + interval // self.S

    def apply_target(self, i: int, limit: int) -> None:
        target = self.targets[i]
        at = 0
        while at < len(target):
            for number, s in enumerate(self.schemes):
                self.try_scheme(number, s, i, at)
            if at:
                prev, r = target[at - 1], target[at]
                same = (prev.age, prev.last, prev.nr) == (r.age, r.last, r.nr)
                if prev.end == r.start and same and r.end - prev.start <= limit:
                    prev.end = r.end
                    del target[at]
                    continue
            at += 1

    def try_scheme(self, number: int, s: TwinScheme, i: int, at: int) -> None:
        target = self.targets[i]
        if self.passed < s.next_apply or not s.activated or s.full(self.unit):
            return
        if s.position_target is not None and self.skip(s, i, at):
            return
        if s.spec.max_nr_snapshots and s.stat[6] >= s.spec.max_nr_snapshots:
            return
        r = target[at]
        if matches(s.spec.pattern, r, self.mv(r)) and self.wanted(s, r):
            self.apply(number, s, i, at)
        if at == len(target) - 1:
            s.stat[6] += 1

    def wanted(self, s: TwinScheme, r: R) -> bool:
        kind = self.ops.score_kind(s.spec.action)
        if not s.is_set or kind is None:
            return True
        return score(kind, self.mv(r), r.age, self.attrs, s.spec.quota) >= s.min_score

    def skip(self, s: TwinScheme, i: int, at: int) -> bool:
        if s.position_target != i:
            return True
        target = self.targets[i]
        r, skipped = target[at], False
        if s.position and r.end <= s.position:
            skipped = True
        elif s.position and r.start < s.position < r.end:
            skipped = True
            cut = AD(s.position - r.start, self.unit)
            if cut == 0 and r.size > self.unit:
                cut = self.unit
            if cut:
                split_at(target, at, cut)
        if at == len(target) - 1:
            s.position_target, s.position = None, 0
        return skipped

    def apply(self, number: int, s: TwinScheme, i: int, at: int) -> None:
        target = self.targets[i]
        r = target[at]
        size = r.size
        if s.is_set and s.charged + size > s.esz:
            size = AD(s.esz - s.charged, self.unit)
            if size == 0:
                s.stat[0] += 1
                return
            split_at(target, at, size)
        if self.filtered(s, i, at):
            return
        size = r.size
        done = self.ops.apply(s, i, r.start, r.end, self.now)
        self.events.append((self.passed, number, i, r.start, r.end, self.mv(r), r.age))
        before = self.now // self.tick_ns
        self.now += done.busy_ns
        s.total_ns += (self.now // self.tick_ns - before) * self.tick_ns
        q, a = s.spec.quota, done.applied_bytes
        if q.fail_charge_denom == 0 or a > size:
            s.charged += size
        else:
            s.charged += a + MF(size - a, q.fail_charge_num, q.fail_charge_denom)
        if s.full(self.unit):
            s.position_target, s.position = i, r.end
        if s.spec.action != "stat":
            r.age = 0
        s.stat[0] += 1
        s.stat[1] += size
        if a:
            s.stat[2] += 1
            s.stat[3] += a
        s.stat[4] += done.passed_bytes


def cycle(draws: list[int]) -> Iterator[int]:
    while True:
        yield from draws
