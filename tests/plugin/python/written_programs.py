"""Programs written by hand: each function probes one rule of the language, named by it, and takes nothing.

Texts by subject; the file is as long as there are rules. What begins with `_`, and classes, are there for the others.
"""

from __future__ import annotations

import ast
from typing import Final

NUMBERS: Final = """
def floor_division_rounds_down() -> list[int]:
    return [a // b for a in (7, -7, 6, 0) for b in (2, -2, 3, -3)]

def modulo_has_the_sign_of_the_divisor() -> list[int]:
    return [a % b for a in (7, -7, 6, 0) for b in (2, -2, 3, -3)]

def divmod_agrees_with_both() -> list[str]:
    return [str(divmod(a, b)) for a in (7, -7) for b in (2, -2)]

def float_floor_division() -> list[float]:
    return [a // b for a in (7.5, -7.5, 0.0, -0.0) for b in (2.0, -2.0)]

def float_modulo() -> list[float]:
    return [a % b for a in (7.5, -7.5, 0.0, -0.0, 1e300) for b in (2.0, -2.0, 0.3)]

def float_divmod() -> list[str]:
    return [str(divmod(a, b)) for a in (7.5, -7.5, -0.0) for b in (2.0, -2.0)]

def division_of_integers_is_rounded_once() -> list[float]:
    return [9007199254740993 / 3, 1 / 3, 9223372036854775807 / 9223372036854775806, -1 / 7, 0 / -5]

def round_half_goes_to_even() -> list[int]:
    return [round(x) for x in (0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 2.4999999999999996)]

def round_to_digits() -> list[float]:
    return [
        round(2.675, 2), round(1.005, 2), round(0.125, 2), round(-0.375, 2), round(1e22, 3),
        round(5.015, 2),
    ]

def round_to_negative_digits() -> list[float]:
    return [round(1234.5, -2), round(1250.0, -2), round(1350.0, -2), round(-55.5, -1)]

def round_integers_to_negative_digits() -> list[int]:
    return [round(15, -1), round(25, -1), round(-15, -1), round(-25, -1), round(149, -2), round(7, 3)]

def int_of_a_float_goes_to_zero() -> list[int]:
    return [int(x) for x in (2.9, -2.9, 0.999, -0.999, 1e15)]

def power_of_integers() -> list[int]:
    return [2 ** 10, (-3) ** 3, 0 ** 0, -2 ** 2, 2 ** 3 ** 2, 10 ** 18]

def power_of_floats() -> list[float]:
    return [2.0 ** -1, 9.0 ** 0.5, (-8.0) ** 3, 0.0 ** 0, 1e10 ** 2]

def power_with_modulus() -> list[int]:
    return [pow(3, 200, 13), pow(-2, 5, 7), pow(7, 0, 1), pow(3, 5, -7)]

def bit_operators_of_negative_numbers() -> list[int]:
    return [-5 & 3, -5 | 3, -5 ^ 3, ~-5, -5 >> 1, -1 >> 60, -5 << 3]

def shift_by_much() -> list[int]:
    return [5 >> 100, -5 >> 100, 0 << 500, 1 << 62]

def bools_are_integers() -> list[int]:
    return [True + True, True * 5, -True, sum([True, False, True]), int(True), True << 3]

def bools_and_bits_stay_bools() -> list[str]:
    return [str(True & False), str(True | False), str(True ^ True), str(not 5), str(True & 3)]

def comparison_of_int_and_float_is_exact() -> list[bool]:
    n = 9007199254740993
    x = 9007199254740992.0
    return [n == x, n > x, n < x, n != x, 1 == 1.0, 2 > 1.5]

def nan_is_unequal_to_itself() -> list[bool]:
    nan = float("nan")
    return [nan == nan, nan != nan, nan < nan, nan >= nan]

def zero_has_a_sign() -> list[str]:
    return [str(-0.0), str(0.0 * -1), str(-0.0 + 0.0), str(abs(-0.0)), str(0.0 == -0.0), str(round(-0.4, 0))]

def min_and_max_take_the_first_of_equals() -> list[str]:
    return [str(min(0.0, -0.0)), str(max(0.0, -0.0)), str(max(-0.0, 0.0)), str(min([-0.0, 0.0]))]

def min_and_max_of_several() -> list[int]:
    return [min(3, 1, 2), max(3, 1, 2), min([5, 4]), max((2, 9)), min([], default=7), max(-1, -2)]

def sum_with_a_start() -> list[int]:
    return [sum([1, 2], 10), sum([0][1:]), sum(range(5)), sum(x * x for x in (1, 2, 3))]

def sum_of_floats_is_compensated() -> list[float]:
    return [sum([0.1] * 10), sum([1e16, 1.0, -1e16]), sum([0.1, 0.2, 0.3])]

def floats_are_shown_with_the_fewest_digits() -> list[str]:
    return [
        str(x) for x in ( 0.1, 0.1 + 0.2, 1e16, 1e15, 123456789012345680.0, 1e-4, 1e-5, 5e-324,
        1.7976931348623157e308, )
    ]

def infinities_and_nan_are_shown() -> list[str]:
    return [str(float("inf")), str(-float("inf")), str(float("nan")), f"{float('inf'):8.2f}|"]

def literals_of_integers() -> list[int]:
    return [0xFF, 0o17, 0b101, 1_000_000, -0x10]

def literals_of_floats() -> list[float]:
    return [1_0.5, 1e3, .5, 5., 1e-3, 0e0]

def bases_of_integers() -> list[str]:
    return [hex(255), hex(-255), oct(8), bin(-5), bin(0), hex(-9223372036854775807)]

def int_of_texts() -> list[int]:
    return [int(" 42 "), int("-7"), int("+3"), int("1_000"), int("ff", 16), int("0b11", 0), int("z", 36)]

def float_of_texts() -> list[float]:
    return [float(" 1.5 "), float("-1e3"), float("1_0.5"), float(".5"), float("-Infinity")]

def the_least_integer() -> list[int]:
    least = -9223372036854775808
    return [least, least + 1, least // 2, least % 10, least >> 63]

def augmented_assignment_of_numbers() -> list[int]:
    n = 100
    found = []
    n += 7
    found.append(n)
    n //= -3
    found.append(n)
    n %= 7
    found.append(n)
    n <<= 4
    n ^= 0b1010
    n |= 1
    n &= ~4
    n **= 2
    found.append(n)
    return found

def conversions_of_bool() -> list[bool]:
    return [
        bool(0), bool(-1), bool(0.0), bool(-0.0), bool(float("nan")), bool(""), bool("0"), bool([]),
        bool([0]),
    ]

def precedence_of_operators() -> list[int]:
    return [2 + 3 * 4, -3 ** 2, 7 - 2 - 1, 2 * 3 % 4, 1 << 2 + 1, 6 & (3 | 2), 5 ^ 3 | 8 & 12, ~1 + 2]
"""

CONTROL: Final = """
def _noted(n: int, log: list[int]) -> int:
    log.append(n)
    return n

def chained_comparison_evaluates_the_middle_once() -> list[int]:
    log: list[int] = []
    first = _noted(1, log) < _noted(2, log) < _noted(3, log)
    second = _noted(5, log) < _noted(4, log) < _noted(9, log)
    return log + [int(first), int(second)]

def chained_comparison_of_many() -> list[bool]:
    a, b, c = 1, 2, 2
    return [a < b <= c, a < b < c, a < c > b, a != b == c, 1 < 2 < 3 < 4]

def and_stops_at_the_first_false() -> list[int]:
    log: list[int] = []
    if _noted(0, log) and _noted(1, log):
        log.append(99)
    if _noted(2, log) or _noted(3, log):
        log.append(98)
    return log

def and_and_or_return_an_operand() -> list[int]:
    return [0 or 5, 3 or 5, 0 and 5, 3 and 5, 1 and 0 or 7]

def and_and_or_of_texts() -> list[str]:
    return ["" or "b", "a" or "b", "" and "b", "a" and "b"]

def arguments_are_evaluated_from_the_left() -> list[int]:
    log: list[int] = []
    _ = max(_noted(1, log), _noted(2, log), _noted(3, log)) + _noted(4, log) * _noted(5, log)
    return log

def the_value_is_evaluated_before_the_target() -> list[int]:
    log: list[int] = []
    cells = [0, 0, 0]
    cells[_noted(1, log)] = _noted(2, log)
    return log + cells

def the_condition_of_an_expression_comes_first() -> list[int]:
    log: list[int] = []
    _ = _noted(1, log) if _noted(0, log) else _noted(2, log)
    return log

def while_else_runs_without_break() -> list[str]:
    found = []
    n = 3
    while n:
        n -= 1
    else:
        found.append("ended")
    while True:
        break
    else:
        found.append("never")
    return found

def for_else_runs_without_break() -> list[str]:
    found = []
    for n in range(2, 12):
        for d in range(2, n):
            if n % d == 0:
                break
        else:
            found.append(str(n))
    return found

def continue_goes_to_the_next_round() -> list[int]:
    found = []
    n = 0
    while n < 10:
        n += 1
        if n % 3:
            continue
        found.append(n)
    return found

def the_variable_of_a_loop_stays() -> int:
    for n in range(5):
        pass
    return n

def assigning_the_variable_of_a_loop_changes_nothing() -> list[int]:
    found = []
    for n in range(3):
        n *= 10
        found.append(n)
    return found

def ranges_of_every_kind() -> list[int]:
    return (
        list(range(3)) + list(range(2, 5)) + list(range(5, 0, -2)) + list(range(0, 10, 4))
        + list(range(3, 3)) + list(range(0, -3))
    )

def the_ends_of_a_range_are_evaluated_once() -> int:
    n = 3
    rounds = 0
    for _ in range(n):
        n += 1
        rounds += 1
    return rounds * 100 + n

def a_list_that_grows_while_it_is_iterated() -> list[int]:
    items = [1, 2, 3]
    for item in items:
        if len(items) < 8:
            items.append(item * 10)
    return items

def a_list_that_shrinks_while_it_is_iterated() -> list[int]:
    items = [1, 2, 3, 4, 5, 6]
    for item in items:
        if item % 2 == 0:
            items.remove(item)
    return items

def enumerate_from_a_start() -> list[str]:
    return [f"{i}{c}" for i, c in enumerate("abc", 5)] + [f"{i}{n}" for i, n in enumerate([7, 8], start=-1)]

def zip_ends_with_the_shortest() -> list[str]:
    return [f"{a}{b}{c}" for a, b, c in zip("abcd", [1, 2, 3], (True, False, True, True))]

def reversed_of_every_kind() -> list[str]:
    return (
        [str(n) for n in reversed(range(0, 10, 3))] + list(reversed("añ😀"))
        + [str(n) for n in reversed([1, 2])]
    )

def unpacking_of_tuples_and_lists() -> list[int]:
    a, b = 1, 2
    a, b = b, a
    (c, d), e = (3, 4), 5
    [f, g] = [6, 7]
    return [a, b, c, d, e, f, g]

def swapping_items_uses_the_old_values() -> list[int]:
    items = [1, 2, 3]
    i = 0
    items[i], items[2] = items[2], items[i]
    i, items[i] = 1, 9
    return items + [i]

def several_targets_get_one_value() -> list[int]:
    a = b = [1]
    a.append(2)
    c = d = 5
    c += 1
    return b + [c, d]

def assignment_in_an_expression() -> list[int]:
    found = []
    while (n := len(found)) < 3:
        found.append(n * n)
    return found + [n, (m := 5) + m]

def nested_loops_break_the_inner_one() -> list[int]:
    found = []
    for a in range(4):
        for b in range(4):
            if a * b == 2:
                break
            found.append(a * 10 + b)
    return found

def recursion_of_two_functions() -> list[bool]:
    return [_even(10), _even(7), _odd(3)]

def _even(n: int) -> bool:
    return True if n == 0 else _odd(n - 1)

def _odd(n: int) -> bool:
    return False if n == 0 else _even(n - 1)

def defaults_and_names_of_parameters() -> list[str]:
    return [_call("a"), _call("a", 5), _call("a", c=True), _call(c=True, a="x", b=-1)]

def _call(a: str, b: int = 2, *, c: bool = False) -> str:
    return f"{a}{b}{c}"

def lists_are_given_by_reference() -> list[int]:
    items = [1]
    _extend(items)
    return items

def _extend(items: list[int]) -> None:
    items += [2, 3]
    items = [9]

def none_or_a_value() -> list[str]:
    return [_halved(4), _halved(3), _halved(0)]

def _half(n: int) -> int | None:
    return n // 2 if n % 2 == 0 else None

def _halved(n: int) -> str:
    half = _half(n)
    if half is None:
        return "odd"
    return f"{half} {half + 1}"

def conditions_of_containers() -> list[str]:
    return ["empty" if not items else "full" for items in ([], [0], [1, 2])]
"""

CONTAINERS: Final = """
def negative_indices_of_lists() -> list[int]:
    items = [1, 2, 3, 4]
    items[-1] = 9
    return [items[-1], items[-4], items[0]]

def slices_of_lists() -> list[list[int]]:
    items = [0, 1, 2, 3, 4, 5]
    return [
        items[1:3], items[-2:], items[:-4], items[::2], items[::-1], items[4:1:-1], items[10:],
        items[-99:2], items[3:1],
    ]

def slices_with_large_steps() -> list[list[int]]:
    items = [0, 1, 2, 3, 4, 5]
    return [items[::100], items[::-100], items[5:0:-2], items[-1:-4:-1], items[::9223372036854775807]]

def assignment_to_slices() -> list[int]:
    items = [0, 1, 2, 3, 4, 5]
    items[1:3] = [10, 20, 30]
    items[:0] = [-1]
    items[-1:] = []
    items[3:1] = [7]
    return items

def deletion_of_items_and_slices() -> list[int]:
    items = [0, 1, 2, 3, 4, 5, 6, 7]
    del items[0]
    del items[-1]
    del items[1:3]
    return items

def a_slice_is_a_copy() -> list[int]:
    items = [1, 2, 3]
    other = items[:]
    other.append(4)
    return items

def insertion_beyond_the_ends() -> list[int]:
    items = [1, 2]
    items.insert(100, 3)
    items.insert(-100, 0)
    items.insert(-1, 9)
    return items

def pop_from_anywhere() -> list[int]:
    items = [1, 2, 3, 4]
    return [items.pop(), items.pop(0), items.pop(-1), *items]

def methods_of_lists() -> list[int]:
    items = [3, 1, 2, 1]
    found = [items.index(1), items.count(1), items.index(1, 2)]
    items.extend((7, 8))
    items.reverse()
    other = items.copy()
    items.clear()
    return found + other + items

def lists_are_compared_by_their_items() -> list[bool]:
    return [
        [1, 2] < [1, 3], [1, 2] < [1, 2, 0], [] < [0], [2] > [1, 9], [1] == [1], [1] != [2],
        [1, 2] >= [1, 2],
    ]

def lists_that_are_repeated_share_their_items() -> list[list[int]]:
    rows = [[0]] * 3
    rows[0].append(1)
    return rows + [[5]] * 0 + [[6]] * -1

def sorting_is_stable() -> list[str]:
    return sorted(["bb", "a", "cc", "b", "aa", "c"], key=lambda s: len(s))

def sorting_in_reverse_is_stable_too() -> list[str]:
    return sorted(["bb", "a", "cc", "b", "aa", "c"], key=len, reverse=True)

def sorting_in_place() -> list[int]:
    items = [5, 3, 8, 1]
    items.sort()
    first = items.copy()
    items.sort(reverse=True)
    items.sort(key=lambda n: n % 4)
    return first + items

def sorting_of_tuples() -> list[str]:
    return [f"{a}{b}" for a, b in sorted([(2, "a"), (1, "b"), (1, "a"), (2, "")])]

def sorting_of_texts_is_by_code_point() -> list[str]:
    return sorted(["é", "z", "Z", "😀", "\\uffff", "", "a", "aa"])

def any_and_all() -> list[bool]:
    return [
        any([0][1:]), all([0][1:]), any([0, 1]), all([1, 0]), all(n > 0 for n in (1, 2)),
        any(c == "b" for c in "abc"),
    ]

def comprehensions_with_conditions() -> list[int]:
    return [a * b for a in range(4) if a % 2 for b in range(a, 4) if b != 2]

def nested_comprehensions() -> list[list[int]]:
    rows = [[1, 2, 3], [4, 5, 6]]
    return [[row[i] for row in rows] for i in range(3)]

def comprehensions_have_names_of_their_own() -> list[int]:
    n = 100
    squares = [n * n for n in range(4)]
    return squares + [n]

def dicts_keep_the_order_of_insertion() -> list[str]:
    ages = {"c": 1, "a": 2, "b": 3}
    ages["a"] = 20
    del ages["c"]
    ages["c"] = 30
    return [f"{name}{age}" for name, age in ages.items()]

def dicts_have_equal_keys_once() -> list[str]:
    counts = {1: "a", 2: "b", 1: "c"}
    return [f"{key}{value}" for key, value in counts.items()]

def dicts_are_equal_in_any_order() -> list[bool]:
    return [{"a": 1, "b": 2} == {"b": 2, "a": 1}, {"a": 1} == {"a": 2}, {"a": 1} != {"b": 1}]

def methods_of_dicts() -> list[str]:
    found = {"a": 1, "b": 2}
    shown = [
        str(found.get("a")), str(found.get("z")), str(found.get("z", 9)), str(found.pop("a")),
        str(found.pop("q", -1)),
    ]
    shown.append(str(found.setdefault("b", 7)))
    shown.append(str(found.setdefault("c", 7)))
    found.update({"b": 5, "d": 6})
    return shown + [str(found), str(len(found)), str("b" in found), str("x" not in found)]

def views_of_dicts() -> list[str]:
    found = {3: 1.5, -1: 2.5}
    return [str(list(found)), str(list(found.keys())), str(list(found.values())), str(list(found.items()))]

def comprehensions_of_dicts() -> list[str]:
    squares = {n: n * n for n in range(6) if n % 2}
    inverse = {str(value): key for key, value in squares.items()}
    return [str(squares), str(inverse)]

def counting_with_a_dict() -> list[str]:
    counts: dict[str, int] = {}
    for letter in "mississippi":
        counts[letter] = counts.get(letter, 0) + 1
    return [f"{key}{counts[key]}" for key in sorted(counts, key=lambda key: (-counts[key], key))]

def dicts_of_lists() -> list[str]:
    groups: dict[int, list[str]] = {}
    for word in ["a", "bb", "c", "dd", "eee"]:
        groups.setdefault(len(word), []).append(word)
    return [f"{key}:{','.join(words)}" for key, words in groups.items()]

def dicts_by_tuples() -> list[int]:
    grid = {(0, 0): 1, (0, 1): 2}
    grid[1, 0] = 3
    return [grid[0, 0], grid[(1, 0)], grid.get((5, 5), -1), len(grid)]

def merging_dicts() -> list[str]:
    a = {"x": 1, "y": 2}
    a.update({"x": 0, "z": 4})
    return [str(a), str(len(a))]

def sets_have_every_item_once() -> list[int]:
    found = {3, 1, 3, 2}
    found.add(1)
    found.add(7)
    found.discard(99)
    found.remove(3)
    return sorted(found) + [len(found), int(7 in found)]

def operators_of_sets() -> list[list[int]]:
    a, b = {1, 2, 3}, {2, 3, 4}
    return [sorted(a & b), sorted(a | b), sorted(a - b), sorted(a ^ b)]

def comparison_of_sets() -> list[bool]:
    a, b = {1, 2}, {1, 2, 3}
    return [a <= b, a < b, b > a, a == {2, 1}, a >= b, a.issubset(b), a.isdisjoint({7})]

def tuples_are_compared_by_their_items() -> list[bool]:
    return [(1, 2) < (1, 3), (1, "b") > (1, "a"), (1, 2) == (1, 2), (0, 9) >= (1, 0)]

def indices_of_tuples() -> list[str]:
    pair = (1, "a", 2.5)
    return [str(pair[0]), pair[1], str(pair[-1]), str(len(pair)), str(pair)]

def containers_are_shown() -> list[str]:
    return [
        str([1, 2]), str(["a", "b'"]), str((1,)), str({"a": [1.0]}), str([None, 1]), str([True]),
        str([[], [1]]), repr(("x", 2)),
    ]

def membership_of_lists() -> list[bool]:
    return [2 in [1, 2], "a" in ["b"], 1.0 in [1], [1] in [[1], [2]], (1, 2) in [(1, 2)], 3 not in (1, 2)]

def concatenation_makes_a_new_list() -> list[int]:
    a = [1]
    b = a
    a = a + [2]
    b += [3]
    return a + b
"""

TEXTS: Final = """
def lengths_are_in_code_points() -> list[int]:
    return [len("añ😀"), len("e\\u0301"), len("👨‍👩‍👧"), len("")]

def indices_are_of_code_points() -> list[str]:
    text = "añ😀z"
    return [text[2], text[-2], text[-1], text[1:3], text[::-1], text[::2], text[5:], text[-3:-1]]

def iteration_is_by_code_point() -> list[int]:
    return [ord(c) for c in "aé😀\\U0010ffff"]

def comparison_is_by_code_point() -> list[bool]:
    return ["Z" < "a", "é" > "z", "\\uffff" < "😀", "" < "a", "a" < "aa", "abc" == "abc"]

def case_of_special_letters() -> list[str]:
    return [
        "straße".upper(), "İ".lower(), "ΑΣ".lower(), "ǆ".title(), "ﬁ".upper(), "ß".capitalize(),
        "hELLO wORLD".swapcase(),
    ]

def title_begins_each_word() -> list[str]:
    return ["they're bill's".title(), "a1b c-d".title(), "hello WORLD".capitalize()]

def split_by_white_space() -> list[str]:
    return (
        "  a\\tb \\n c\\u3000d ".split() + ["|"] + "  a b  c ".split(None, 1) + " a ".split(None, 1)
        + " a ".split(None, 0)
    )

def split_by_a_text_keeps_empty_parts() -> list[str]:
    return "a,,b,".split(",") + "".split(",") + "aXXbXXc".split("XX", 1)

def lines_end_in_many_ways() -> list[str]:
    return "a\\nb\\r\\nc\\rd\\x0be\\u2028f\\n".splitlines()

def strip_takes_a_set_of_letters() -> list[str]:
    return ["xyabcyx".strip("xy"), "  a ".lstrip(), "abcba".rstrip("ab"), "\\u2003a\\u00a0".strip()]

def find_and_index() -> list[int]:
    text = "banana"
    return [
        text.find("an"), text.rfind("an"), text.find("x"), text.find(""), text.index("na"),
        text.find("a", 2), text.find("a", -1), text.rfind(""),
    ]

def count_does_not_overlap() -> list[int]:
    return ["aaaa".count("aa"), "abc".count(""), "banana".count("a", 2), "".count("")]

def replace_some_and_all() -> list[str]:
    return [
        "aaa".replace("a", "b", 2), "abc".replace("", "-"), "aXbX".replace("X", ""),
        "abc".replace("z", "y"),
    ]

def join_of_lists_and_generators() -> list[str]:
    return [
        ",".join(["a", "b"]), "".join([]), "-".join("abc"), "+".join(str(n) for n in range(3)),
        ", ".join(["x"]),
    ]

def padding_of_texts() -> list[str]:
    return [
        "a".center(4, "*"), "ab".center(5), "a".ljust(3, "."), "a".rjust(3), "-5".zfill(4), "+".zfill(3),
        "abc".center(2),
    ]

def partition_at_the_first_and_last() -> list[str]:
    a, b, c = "k=v=w".partition("=")
    d, e, f = "k=v=w".rpartition("=")
    g, h, i = "none".partition("=")
    return [a, b, c, d, e, f, g, h, i]

def kinds_of_characters() -> list[bool]:
    return [
        "²".isdigit(), "²".isdecimal(), "½".isnumeric(), "é".isalpha(), "".isalpha(), " \\t".isspace(),
        "aB1".isalnum(), "Hello World".istitle(), "ab".islower(), "A1".isupper(),
    ]

def prefixes_and_suffixes() -> list[str]:
    return [
        "unhappy".removeprefix("un"), "testing".removesuffix("ing"), "abc".removeprefix("x"),
        str("abc".startswith("ab")), str("abc".endswith(("x", "c"))),
    ]

def repr_chooses_the_quotes() -> list[str]:
    return [
        repr("a"), repr("it's"), repr('say "hi"'), repr("both ' and \\""), repr("a\\n\\t\\\\"),
        repr("\\x00\\x7f\\xa0é😀\\u200b"),
    ]

def texts_are_repeated() -> list[str]:
    return ["ab" * 3, "ab" * 0, "ab" * -1, 2 * "é"]

def membership_is_of_parts() -> list[bool]:
    return ["an" in "banana", "" in "", "x" in "abc", "abc" not in "ab", "😀" in "a😀"]

def f_strings_with_conversions() -> list[str]:
    name = "Ann"
    return [f"{name}", f"{name!r}", f"{name!s:>5}", f"{{{name}}}", f"{name=}", f"{1 + 1 = }"]

def formats_of_integers() -> list[str]:
    n = 1234567
    return [
        f"{n:,}", f"{n:_}", f"{n:>10}", f"{n:<10}|", f"{n:^11}|", f"{n:+d}", f"{-n:010}", f"{n:x}",
        f"{n:#X}", f"{n:b}", f"{n:*^15,}", f"{n: }",
    ]

def formats_of_floats() -> list[str]:
    x = 1234.5678
    return [
        f"{x:.2f}", f"{x:10.1f}|", f"{x:e}", f"{x:.3g}", f"{x:,.1f}", f"{0.255:.1%}", f"{-x:+.0f}",
        f"{x:08.1f}", f"{1e100:g}", f"{0.5:.0f}", f"{2.5:.0f}", f"{x:_}",
    ]

def formats_of_texts() -> list[str]:
    return [f"{'ab':5}|", f"{'ab':>5}", f"{'ab':^5}|", f"{'abcdef':.3}", f"{'ab':*<4}", f"{'é😀':-^6}"]

def widths_computed_in_f_strings() -> list[str]:
    width, digits = 8, 3
    return [f"{3.14159:{width}.{digits}f}", f"{'a':>{width - 4}}", f"{7:0{width}}"]

def concatenation_of_literals() -> list[str]:
    return ["a" "b", "x" f"{1}" "y", '''two
lines''', r"\\n", "\\x41\\u00e9\\N{SNOWMAN}"]

def ord_and_chr() -> list[str]:
    return [chr(97), chr(0x1F600), chr(ord("a") + 1), str(ord("é")), str(ord("\\U0010ffff"))]

def bytes_are_numbers() -> list[int]:
    data = b"a\\xff\\x00"
    return [data[0], data[-1], len(data), *data, *data[1:], *bytes([1, 2])]

def texts_are_encoded() -> list[str]:
    return [
        str("é😀".encode()), repr(b"a'\\n"), "é".encode().hex(), b"\\xc3\\xa9".decode(),
        str(len("😀".encode("utf-8"))),
    ]

def operators_of_bytes() -> list[bool]:
    return [97 in b"abc", b"a" + b"b" == b"ab", b"a" < b"b", b"" == bytes(0), b"ab" * 2 == b"abab"]

def texts_do_not_change() -> list[str]:
    a = "x"
    b = a
    a += "y"
    a += "z"
    return [a, b]

def backslashes_and_escapes() -> list[int]:
    return [ord(c) for c in "\\a\\b\\f\\v\\'\\"\\0\\101"]
"""

CLASSES: Final = """
from dataclasses import dataclass, field

@dataclass
class _Point:
    x: int
    y: int = 0

    def moved(self, dx: int, dy: int = 0) -> "_Point":
        return _Point(self.x + dx, self.y + dy)

@dataclass(frozen=True, order=True)
class _Version:
    major: int
    minor: int
    name: str = ""

@dataclass
class _Basket:
    owner: str
    items: list[str] = field(default_factory=list)
    total: float = 0.0

class _Counter:
    def __init__(self, start: int) -> None:
        self.count = start

    def add(self, n: int = 1) -> int:
        self.count += n
        return self.count

    @property
    def double(self) -> int:
        return self.count * 2

    @staticmethod
    def name() -> str:
        return "counter"

@dataclass
class _Node:
    value: int
    next: "_Node | None" = None

def dataclasses_are_shown() -> list[str]:
    return [
        str(_Point(1)), repr(_Version(1, 2, "é'")), str(_Basket("Ann", ["a"])), f"{_Point(x=3, y=4)}",
        str([_Point(0)]),
    ]

def dataclasses_are_equal_by_value() -> list[bool]:
    return [_Point(1, 2) == _Point(1, 2), _Point(1) != _Point(2), _Point(1) in [_Point(0), _Point(1)]]

def dataclasses_are_ordered_by_fields() -> list[str]:
    versions = sorted([_Version(1, 9), _Version(1, 10), _Version(0, 99, "b"), _Version(0, 99, "a")])
    return [f"{v.major}.{v.minor}{v.name}" for v in versions] + [str(_Version(1, 2) < _Version(1, 3))]

def frozen_dataclasses_are_keys() -> list[int]:
    seen = {_Version(1, 0): 1, _Version(2, 0): 2}
    seen[_Version(1, 0)] = 3
    return [seen[_Version(1, 0)], len(seen)]

def each_object_has_its_own_default_list() -> list[str]:
    a, b = _Basket("a"), _Basket("b")
    a.items.append("x")
    a.total += 1.5
    return [str(a), str(b)]

def objects_are_given_by_reference() -> list[int]:
    point = _Point(1, 2)
    other = point
    other.x = 9
    moved = point.moved(1)
    return [point.x, moved.x, moved.y, int(point is other), int(moved is point)]

def methods_and_properties() -> list[str]:
    counter = _Counter(5)
    return [str(counter.add()), str(counter.add(10)), str(counter.double), counter.name(), _Counter.name()]

def linked_lists() -> list[int]:
    head: _Node | None = None
    for n in range(4):
        head = _Node(n, head)
    found = []
    while head is not None:
        found.append(head.value)
        head = head.next
    return found

def augmented_assignment_of_attributes() -> list[int]:
    point = _Point(1)
    point.x += 5
    point.y -= point.x
    points = [point]
    points[0].x *= 2
    return [point.x, point.y]

@dataclass
class Badge:
    name: str

    def __str__(self) -> str:
        return "<" + self.name + ">"

def optional_as_text() -> list[str]:
    some: str | None = "é"
    none: str | None = None
    badge: Badge | None = Badge("x")
    shown = [f"{some}{none}", str(some), repr(some), f"{badge}", str(badge), repr(badge)]
    return [*shown, str([some, none]), str((badge, none))]
"""

RAISING: Final = """
from dataclasses import dataclass

class _Refused(Exception):
    pass

class _Closer(_Refused):
    pass

def index_out_of_a_list() -> int:
    return [1, 2][2 if len("a") else 0]

def assignment_out_of_a_list() -> None:
    items = [1]
    items[-2] = 5

def index_out_of_a_text() -> str:
    return "abc"[len("abc")]

def index_out_of_bytes() -> int:
    return b"abc"[-4]

def deletion_out_of_a_list() -> None:
    items = [1]
    del items[1]

def pop_of_an_empty_list() -> int:
    items: list[int] = []
    return items.pop()

def pop_out_of_a_list() -> int:
    return [1, 2].pop(7)

def key_that_is_missing() -> int:
    return {"a": 1}["it's"]

def number_that_is_no_key() -> str:
    return {1: "a"}[-5]

def tuple_that_is_no_key() -> str:
    return {(1, "x"): "a"}[(2, "y")]

def pop_of_a_missing_key() -> int:
    return {"a": 1}.pop("b")

def deletion_of_a_missing_key() -> None:
    found = {1.5: 1}
    del found[2.5]

def removal_from_a_set() -> None:
    {1}.remove(2)

def removal_from_a_list() -> None:
    [1].remove(2)

def index_of_what_is_not_in_a_list() -> int:
    return ["a"].index("b")

def index_of_what_is_not_in_a_text() -> int:
    return "abc".index("x")

def division_by_zero() -> int:
    return 1 // len("")

def modulo_by_zero() -> int:
    return 1 % len("")

def true_division_by_zero() -> float:
    return 1 / len("")

def float_division_by_zero() -> float:
    return 1.5 / float(len(""))

def float_floor_division_by_zero() -> float:
    return 1.5 // float(len(""))

def float_modulo_by_zero() -> float:
    return 1.5 % float(len(""))

def divmod_by_zero() -> int:
    a, b = divmod(5, len(""))
    return a + b

def zero_to_a_negative_power() -> float:
    return 0.0 ** -float(len("a"))

def zero_to_a_negative_power_of_integers() -> int:
    return len("") ** -len("a")

def power_that_is_too_large() -> float:
    return 10.0 ** (400.0 * len("a"))

def power_with_modulus_zero() -> int:
    return pow(2, 3, len(""))

def shift_by_a_negative_number() -> int:
    return 1 << -len("a")

def int_of_no_number() -> int:
    return int("4x")

def int_of_no_number_in_a_base() -> int:
    return int("9", 8)

def int_of_a_base_that_is_none() -> int:
    return int("9", 40 + len(""))

def int_of_nan() -> int:
    return int(float("nan"))

def int_of_infinity() -> int:
    return int(float("-inf"))

def round_of_infinity() -> int:
    return round(float("inf"))

def float_of_no_number() -> float:
    return float("1,5" * len("a"))

def chr_out_of_range() -> str:
    return chr(0x110000 + len(""))

def ord_of_two_letters() -> int:
    return ord("ab" * len("a"))

def byte_out_of_range() -> bytes:
    return bytes([255 + len("a")])

def split_by_nothing() -> list[str]:
    return "abc".split("" * len("a"))

def min_of_nothing() -> int:
    items: list[int] = []
    return min(items)

def max_of_nothing() -> str:
    items: list[str] = []
    return max(items)

def range_with_step_zero() -> int:
    return sum(range(0, 5, len("")))

def slice_with_step_zero() -> list[int]:
    return [1, 2][::len("")]

def unpacking_of_too_few() -> int:
    a, b, c = [1, 2]
    return a + b + c

def unpacking_of_too_many() -> int:
    a, b = [1, 2, 3]
    return a + b

def decoding_of_what_is_no_utf8() -> str:
    return b"a\\xffb".decode()

def extended_slice_of_another_size() -> None:
    items = [1, 2, 3, 4]
    items[::2] = [1, 2, 3]

def assertion_without_a_message() -> None:
    assert len("") == 1

def assertion_with_a_message() -> None:
    assert len("") == 1, f"length {len('')}"

def error_of_the_program() -> None:
    raise _Closer("too close")

def error_without_a_message() -> None:
    raise ValueError

def error_with_an_empty_message() -> None:
    raise ValueError("")

def a_dict_that_changes_while_it_is_iterated() -> None:
    found = {1: 1}
    for key in found:
        found[key + 1] = 1

def exceptions_are_caught_by_their_class() -> list[str]:
    return [_caught(n) for n in range(6)]

def _caught(n: int) -> str:
    try:
        if n == 0:
            return str(1 // n)
        if n == 1:
            return [""][n]
        if n == 2:
            return {"a": ""}["b"]
        if n == 3:
            return str(int("x"))
        if n == 4:
            raise _Closer("c")
        return "none"
    except ZeroDivisionError:
        return "division"
    except (IndexError, KeyError) as error:
        return f"lookup {error}"
    except _Refused as error:
        return f"refused {error}"
    except Exception as error:
        return f"other {error}"

def finally_always_runs() -> list[str]:
    log: list[str] = []
    for n in (0, 1, 2):
        try:
            _through(n, log)
        except ZeroDivisionError:
            log.append("caught")
    return log

def _through(n: int, log: list[str]) -> int:
    try:
        log.append(f"try {n}")
        if n == 2:
            return n
        return 10 // n
    except ValueError:
        log.append("value")
    else:
        log.append("else")
    finally:
        log.append("finally")
    return -1

def else_runs_without_an_exception() -> list[str]:
    log: list[str] = []
    for text in ("5", "x"):
        try:
            n = int(text)
        except ValueError:
            log.append("except")
        else:
            log.append(f"else {n}")
    return log

def finally_and_break() -> list[int]:
    log = []
    for n in range(5):
        try:
            if n == 1:
                continue
            if n == 3:
                break
            log.append(n)
        finally:
            log.append(n * 10)
    return log

def raising_again_keeps_the_exception() -> None:
    try:
        [1].remove(5)
    except ValueError:
        raise

def raising_another_in_a_handler() -> None:
    try:
        [1][5]
    except IndexError as error:
        raise ValueError(f"was: {error}") from error

def raising_from_nothing() -> None:
    try:
        [1][5]
    except IndexError as error:
        raise ValueError(error) from None

def an_exception_in_finally_replaces_the_first() -> None:
    try:
        raise ValueError("first")
    finally:
        raise KeyError("second")

def key_errors_are_shown_with_quotes() -> list[str]:
    found = []
    for key in ("a", "it's", ""):
        try:
            raise KeyError(key)
        except KeyError as error:
            found += [str(error), f"{error}"]
    return found

def exceptions_are_shown() -> list[str]:
    try:
        raise ValueError("bad 'thing'")
    except ValueError as error:
        return [str(error), f"{error}|", f"{error!s:>20}"]

def nested_handlers() -> list[str]:
    log: list[str] = []
    try:
        try:
            int("q")
        except KeyError:
            log.append("wrong")
        finally:
            log.append("inner")
    except ValueError as error:
        log.append(str(error))
    return log

def changes_before_an_exception_stay() -> list[int]:
    items = [1]
    try:
        items.append(2)
        items.append(1 // (len(items) - 2))
        items.append(3)
    except ZeroDivisionError:
        pass
    return items
"""

MATHEMATICS: Final = """
import math
from math import floor, sqrt, tau

LIMIT = 2 ** 10
NAMES = ("a", "b", "é")
LOW = -1
HIGH = LOW + 2

def floor_ceil_and_trunc() -> list[int]:
    return [f for x in (2.5, -2.5, 3.0, -0.5) for f in (floor(x), math.ceil(x), math.trunc(x))]

def roots() -> list[float]:
    return [sqrt(2), math.isqrt(99) + 0.0, math.hypot(3, 4), sqrt(0.0), sqrt(1e-300)]

def greatest_common_divisors() -> list[int]:
    return [math.gcd(12, 18), math.gcd(-4, 6), math.gcd(0, 0), math.gcd(7, 0), math.lcm(4, 6), math.lcm(0, 5)]

def factorials_and_combinations() -> list[int]:
    return [math.factorial(20), math.comb(30, 15), math.perm(10, 3), math.comb(3, 5), math.factorial(0)]

def exponentials_and_logarithms() -> list[float]:
    return [
        math.exp(1), math.log(10), math.log(8, 2), math.log10(1000), math.log2(8), math.log1p(1e-10),
        math.expm1(1e-10),
    ]

def angles() -> list[float]:
    return [
        math.sin(1), math.cos(1), math.tan(1), math.radians(180), math.degrees(math.pi), math.sin(1e10),
        tau,
    ]

def kinds_of_floats() -> list[bool]:
    return [math.isnan(math.nan), math.isinf(-math.inf), math.isfinite(1e308), math.isnan(1.0)]

def signs_and_remainders() -> list[float]:
    return [math.copysign(1, -0.0), math.fmod(-7, 3), math.remainder(7, 4), math.fabs(-3), math.copysign(-2, 5)]

def stars_in_lists() -> list[str]:
    counts = {1: 2}
    return [str([*"aé", "b"]), str([*(1.5, 2.5), 0.5, *[4.5]]), str([*counts, 5]), str([*NAMES, *[""]])]

def lists_extended_by_other_things() -> list[str]:
    items = ["x"]
    items += "aé"
    items += NAMES
    items += {"k": 1}
    items.extend("z")
    return items

def constants_of_the_module() -> list[str]:
    return [str(LIMIT), NAMES[-1], str(len(NAMES)), str(LOW < HIGH), str([*NAMES])]

def root_of_a_negative_number() -> float:
    return sqrt(-1.0 * len("a"))

def logarithm_of_zero() -> float:
    return math.log(len(""))

def factorial_of_a_negative_number() -> int:
    return math.factorial(-len("a"))

def exponential_that_is_too_large() -> float:
    return math.exp(1000.0 * len("a"))

def floor_of_nan() -> int:
    return floor(math.nan)

def integer_root_of_a_negative_number() -> int:
    return math.isqrt(-len("a"))
"""

PROGRAMS: Final = {
    "numbers": NUMBERS,
    "control": CONTROL,
    "containers": CONTAINERS,
    "texts": TEXTS,
    "classes": CLASSES,
    "raising": RAISING,
    "mathematics": MATHEMATICS,
}
"""The texts by their subjects."""


def rules() -> list[tuple[str, str]]:
    """Return the subject and the name of every function that is a program."""
    return [
        (subject, node.name)
        for subject, text in PROGRAMS.items()
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    ]
