"""Conditions: random ones against a plain evaluation in Python, and what is refused with a caret."""

from datetime import date, datetime, timezone
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_cli.retrieval.search.where.condition_error import ConditionError
from serve_cli.retrieval.search.where.parser import parse_condition

NUMBERS = [-3, 0, 1, 2, 7, None]
TEXTS = ["", "x", "X", "it's", "a%b", "a_b", "axb", "line\nbreak", None]
FLAGS = [True, False, None]
SCHEMA = pa.schema([("price", pa.int16()), ("in", pa.float64()), ("brand", pa.string()), ("sold out", pa.bool_())])
QUOTED = {"price": "price", "in": '"in"', "brand": '"brand"', "sold out": '"sold out"'}
COMPARE = {
    "=": lambda a, b: a == b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<>": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
FLIP = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "<>": "!="}


def evaluated(tree, row):
    """True, False or None, as SQL has it."""
    kind, *parts = tree
    if kind == "not":
        value = evaluated(parts[0], row)
        return None if value is None else not value
    if kind in ("and", "or"):
        values = [evaluated(part, row) for part in parts]
        decisive = kind == "or"
        return decisive if decisive in values else None if None in values else not decisive
    value = row[parts[0]]
    return value is None if kind == "null" else predicate(kind, value, row, *parts[1:])


def predicate(kind, value, row, others=()):
    others = [row[other] if is_column else other for other, is_column in others]
    if kind == "between":
        low, high = others
        return both(compared(">=", value, low), compared("<=", value, high))
    if kind in COMPARE:
        return compared(kind, value, others[0])
    if value is None or kind == "true":
        return value
    if kind == "in":
        return any(value == other for other in others)
    return alike(value, others[0]) if kind == "like" else alike(value.lower(), others[0].lower())


def compared(sign, value, other):
    return None if value is None or other is None else COMPARE[sign](value, other)


def both(first, second):
    return False if False in (first, second) else None if None in (first, second) else True


def alike(value, pattern):
    """LIKE by recursion on the first character of the pattern."""
    if not pattern:
        return not value
    if pattern[0] == "%":
        return any(alike(value[start:], pattern[1:]) for start in range(len(value) + 1))
    if pattern[0] == "\\":
        return value[:1] == pattern[1] and alike(value[1:], pattern[2:])
    return bool(value) and pattern[0] in ("_", value[0]) and alike(value[1:], pattern[1:])


def written(tree):
    """The condition as text."""
    kind, *parts = tree
    if kind == "not":
        return f"NOT ({written(parts[0])})"
    if kind in ("and", "or"):
        return f" {kind} ".join(f"({written(part)})" for part in parts)
    column = QUOTED[parts[0]]
    if kind in ("null", "true"):
        return f"{column} Is Null" if kind == "null" else column
    others = [QUOTED[other] if is_column else literal(other) for other, is_column in parts[1]]
    if kind == "in":
        return f"{column} IN ({' , '.join(others)})"
    if kind == "between":
        return f"{column} between {others[0]} and {others[1]}"
    flipped = kind in FLIP and parts[1][0][0] in (0, "x")  # the literal first
    return f"{others[0]} {FLIP[kind]} {column}" if flipped else f"{column} {kind} {others[0]}"


def literal(value):
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value).lower()


NUMERIC = st.one_of(
    st.tuples(st.sampled_from([-3, 0, 1, 2.5, 7, 40_000]), st.just(False)),
    st.tuples(st.sampled_from(["price", "in"]), st.just(True)),
)
STRING = st.tuples(st.sampled_from([text for text in TEXTS if text is not None]), st.just(False))
PATTERN = st.tuples(
    st.sampled_from(["%", "x", "a%b", "a_b", "a\\%b", "a\\_b", "%'%", "l%k", "_", "", "X%"]), st.just(False)
)
NUMBER_COLUMN = st.sampled_from(["price", "in"])
LEAF = st.one_of(
    st.tuples(st.sampled_from(sorted(COMPARE)), NUMBER_COLUMN, st.tuples(NUMERIC)),
    st.tuples(st.sampled_from(sorted(COMPARE)), st.just("brand"), st.tuples(STRING)),
    st.tuples(
        st.just("in"),
        st.just("price"),
        st.lists(st.tuples(st.sampled_from([-3, 2, 40_000]), st.just(False)), min_size=1),
    ),
    st.tuples(st.just("in"), st.just("brand"), st.lists(STRING, min_size=1, max_size=3)),
    st.tuples(st.just("between"), NUMBER_COLUMN, st.tuples(NUMERIC, NUMERIC)),
    st.tuples(st.sampled_from(["like", "ilike"]), st.just("brand"), st.tuples(PATTERN)),
    st.tuples(st.just("null"), st.sampled_from(sorted(QUOTED))),
    st.tuples(st.just("true"), st.just("sold out")),
)
TREES = st.recursive(
    LEAF,
    lambda part: st.one_of(
        st.tuples(st.just("not"), part),
        st.tuples(st.sampled_from(["and", "or"]), part, part),
        st.tuples(st.sampled_from(["and", "or"]), part, part, part),
    ),
    max_leaves=6,
)
ROWS = [
    dict(
        zip(SCHEMA.names, (NUMBERS[i % 6], [0.5, 2.5, None, 7.0][i % 4], TEXTS[i % 9], FLAGS[i // 3 % 3]), strict=True)
    )
    for i in range(36)
]
TABLE = pa.Table.from_pylist(ROWS, SCHEMA).append_column("row", pa.array(range(len(ROWS))))


def rows_of(text):
    return TABLE.filter(parse_condition(text, TABLE.schema))["row"].to_pylist()


@given(TREES)
@settings(max_examples=60)
def test_random_conditions_equal_a_plain_evaluation(tree):
    expected = [number for number, row in enumerate(ROWS) if evaluated(tree, row) is True]
    assert rows_of(written(tree)) == expected


def test_ilike_ignores_case():
    assert rows_of("brand ilike 'X'") == rows_of("brand in ('x', 'X')") != rows_of("brand like 'X'")


def test_precedence_is_not_then_and_then_or():
    assert rows_of("price = 1 or price = 2 and brand = 'x'") == rows_of("price = 1 or (price = 2 and brand = 'x')")
    assert rows_of("not price = 1 and brand = 'x'") == rows_of("(not price = 1) and brand = 'x'")
    assert rows_of("not price in (1)") == rows_of("price not in (1)") == rows_of("1 <> price")


TYPED = pa.table(
    {
        "day": [date(2026, 1, 1), None],
        "at": pa.array([datetime(2026, 1, 1, 12, tzinfo=timezone.utc), None], pa.timestamp("s", "UTC")),
        "cost": [Decimal("1.50"), None],
        "small": pa.array([0.1, None], pa.float32()),
        "half": pa.array([0.5, None], pa.float16()),
        "kind": pa.array(["a", None]).dictionary_encode(),
        "big": pa.array([2**64 - 1, None], pa.uint64()),
        "long": pa.array([2**53 + 1, None], pa.int64()),
    }
)


@pytest.mark.parametrize(
    ("text", "meets"),
    [
        ("day >= '2026-01-01'", True),
        ("day > '2026-01-01'", False),
        ("at = '2026-01-01 13:00+01:00'", True),
        ("at < '2026-01-01T12:00:00.000001Z'", True),
        ("at <= '2026-01-01'", False),
        ("cost in (1.5, 2.250)", True),
        ("cost < 1.5001", True),
        ("small = 0.1", True),
        ("half in (0.5)", True),
        ("kind like 'a%'", True),
        ("kind = kind", True),
        ("big = 18446744073709551615", True),
        ("long = 9007199254740992", False),
        ("long > 9007199254740992", True),
        ("long < 1.5", False),
        ("small < long", True),
    ],
)
def test_types(text, meets):
    condition = parse_condition(text, TYPED.schema)
    assert TYPED.filter(condition).num_rows == meets
    assert TYPED.filter(~condition).num_rows == 1 - meets


@pytest.mark.parametrize(
    ("text", "position", "problem"),
    [
        ("", 0, "found the end; expected a column"),
        ("price", 5, "expected a comparison"),
        ("price < ", 8, "found the end"),
        ("price < 'a'", 8, "found string 'a'; expected a number, since \"price\" is int16"),
        ("prise < 5", 0, r'column prise does not exist. Did you mean "price"\? Columns: price \(int16\), in'),
        ('brand = "x"', 8, "Write strings in single quotes"),
        ("price = null", 8, "write is null"),
        ("price < 5 5", 10, "found number 5; expected and, or"),
        ("(price < 5", 10, r"expected \)"),
        ("brand = 'x", 8, "quote ' is not closed"),
        ("price ~ 5", 6, "found '~'"),
        ("price < 5abc", 8, "found '5'"),
        ("1 = 1", 0, "expected a column on one side"),
        ("price in ()", 10, "found '\\)'"),
        ("price in (1.5)", 10, "expected a whole number"),
        ("brand like 5", 11, "expected a pattern"),
        ("price like 'a'", 0, "takes a column of strings"),
        ("price < brand", 8, "expected int16"),
        ('"sold out" < true', 11, "expected = or <>"),
        ("price < 1e999999999", 8, "below 1e400"),
        ("price < 99999999999999999999", 8, "range of int64"),
        ("not " * 101 + "price < 1", 404 - 4, "more than 100 levels"),
        ("(" * 5000, 100, "more than 100 levels"),
        ("price < 1 or " * 1000, 10_000, "expected at most 10,000"),
    ],
)
def test_what_is_refused(text, position, problem):
    with pytest.raises(ConditionError, match=rf"character {position + 1}: .*{problem}") as refused:
        parse_condition(text, SCHEMA)
    line, caret = refused.value.caret.split("\n")
    assert len(line) < 100
    if position < len(text):
        assert line[caret.index("^")] == text[position]


def test_a_caret_is_below_wide_characters():
    with pytest.raises(ConditionError) as refused:
        parse_condition('"价格" = 5 and x\t= 1', pa.schema([("价格", pa.int64())]))
    assert refused.value.caret.split("\n")[1] == " " * (2 + len('"价格" = 5 and ') + 2) + "^"


def test_lists_have_no_order():
    with pytest.raises(ConditionError, match="cannot be compared; expected is null"):
        parse_condition("tags = 5", pa.schema([("tags", pa.list_(pa.string()))]))


def test_a_long_chain_is_not_deep():
    text = "price=1" + " or price=2" * 900
    assert rows_of(text) == rows_of("price in (1, 2)")
