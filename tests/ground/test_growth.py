"""No regular expression, and no parser of log lines, takes more than linear time, whatever text it meets.

The expressions are found in the addon's source. The hostile texts are made from each expression itself: what leads to a
repetition, and then much of what it repeats. A text of four times the length may take four times as long, not sixteen.
"""

from __future__ import annotations

import ast
import re
import time
from array import array
from collections.abc import Callable, Iterator
from re import _constants as ops  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

import pytest

from addon import ROOT
from addon.actions import annotations
from addon.actions.logs import lines
from addon.actions.logs.step_ranges import LogIndex, log_line_hash

SHORT, TIMES = 1000, 4
# Between the ratio of linear time, which is TIMES, and that of quadratic time, which is its square.
MOST_RATIO = 10
USES = ("match", "fullmatch", "search", "sub", "split", "finditer", "findall")
REPEATS = (ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT)
MANY = 50
Expression = tuple[str, "re.Pattern[Any]", str]


def expressions() -> Iterator[Expression]:
    """Where each expression is, the expression, and the method that is called."""
    texts = {path: path.read_text() for path in (ROOT / "addon").rglob("*.py")}
    trees = {
        path: ast.parse(text) for path, text in texts.items() if any(f".{use}(" in text for use in (*USES, "compile"))
    }
    methods: dict[str, set[str]] = {}
    for node in (node for tree in trees.values() for node in ast.walk(tree)):
        if isinstance(node, ast.Attribute) and node.attr in USES and isinstance(node.value, ast.Name):
            methods.setdefault(node.value.id, set()).add(node.attr)
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and _function_of_re(node.value) == "compile":
                pattern = _compiled(node.value)
                for method in sorted(methods[node.targets[0].id]):  # type: ignore[attr-defined]
                    yield f"{path.name}:{node.lineno}", pattern, method
            if (method := _function_of_re(node)) in USES:
                yield f"{path.name}:{node.lineno}", _compiled(node), method  # type: ignore[attr-defined]


def _function_of_re(node: ast.AST) -> str:
    """The name of the function that is called, if it is one of `re`."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return ""
    module = node.func.value
    return node.func.attr if isinstance(module, ast.Name) and module.id == "re" else ""


def _compiled(call: Any) -> re.Pattern[Any]:
    flags = [name for name in ("DOTALL", "IGNORECASE", "MULTILINE", "VERBOSE") if f"re.{name}" in ast.unparse(call)]
    return re.compile(_pattern(call.args[0]), sum(getattr(re, name) for name in flags))


def _pattern(node: ast.expr) -> Any:
    """A literal; in an f-string, another text may be a part if it is escaped."""
    if not isinstance(node, ast.JoinedStr):
        return ast.literal_eval(node)
    values = [getattr(part, "value", None) for part in node.values]
    assert all(isinstance(each, str) or ast.unparse(each).startswith("re.escape(") for each in values)  # type: ignore[arg-type]
    return "".join(each if isinstance(each, str) else "aa" for each in values)


def hostile_texts(pattern: re.Pattern[Any], length: int) -> Iterator[Any]:
    """For each repetition: what leads there, then what it repeats or any other part, many times, then no match."""
    text = pattern.pattern.decode("latin-1") if isinstance(pattern.pattern, bytes) else pattern.pattern
    tree = _parser.parse(text, pattern.flags & ~re.UNICODE)
    parts = {_sample([each]) for each in _atoms(tree)}
    for lead, repeated in _repetitions(tree, ""):
        for pump in sorted(parts | {repeated} - {""}):
            for end in ("\n", "\0", ""):
                whole = lead + pump * (length // len(pump)) + end
                yield whole.encode("latin-1") if isinstance(pattern.pattern, bytes) else whole
        again = (lead + repeated) * (length // len(lead + repeated)) + "\n"
        yield again.encode("latin-1") if isinstance(pattern.pattern, bytes) else again


def _repetitions(tree: Any, lead: str) -> Iterator[tuple[str, str]]:
    for kind, value in tree:
        inner = value[2] if kind in REPEATS else value[-1] if kind in (ops.SUBPATTERN, ops.ATOMIC_GROUP) else ()
        if kind in REPEATS and value[1] > MANY:
            yield lead, _sample(inner)
        for each in value[1] if kind is ops.BRANCH else (inner,):
            yield from _repetitions(each, lead)
        lead += _sample([(kind, value)])


def _atoms(tree: Any) -> Iterator[Any]:
    for kind, value in tree:
        if kind in REPEATS:
            yield from _atoms(value[2])
        elif kind is ops.SUBPATTERN:
            yield from _atoms(value[-1])
        elif kind is ops.BRANCH:
            for each in value[1]:
                yield from _atoms(each)
        elif kind in (ops.LITERAL, ops.NOT_LITERAL, ops.IN, ops.ANY):
            yield kind, value


def _sample(tree: Any) -> str:
    """A text that matches."""
    whole = ""
    for kind, value in tree:
        if kind is ops.LITERAL:
            whole += chr(value)
        elif kind in (ops.NOT_LITERAL, ops.ANY):
            whole += "a" if value != ord("a") else "b"
        elif kind is ops.IN:
            whole += _member(value)
        elif kind in REPEATS:
            whole += _sample(value[2]) * value[0]
        elif kind is ops.SUBPATTERN:
            whole += _sample(value[-1])
        elif kind is ops.BRANCH:
            whole += _sample(value[1][0])
        else:
            assert kind in (ops.AT, ops.ASSERT, ops.ASSERT_NOT), f"the test does not know {kind}"
    return whole


def _member(kinds: Any) -> str:
    """A character of a class."""
    negated = kinds[0][0] is ops.NEGATE
    names: dict[Any, str] = {ops.CATEGORY_SPACE: r"\s", ops.CATEGORY_DIGIT: r"\d", ops.CATEGORY_WORD: r"\w"}
    text = "".join(
        re.escape(chr(value)) if kind is ops.LITERAL
        else f"{re.escape(chr(value[0]))}-{re.escape(chr(value[1]))}" if kind is ops.RANGE
        else names[value]
        for kind, value in kinds[negated:]
    )  # fmt: skip
    member = re.compile(f"[{'^' * negated}{text}]")
    return next(character for character in map(chr, (97, *range(32, 127), *range(65536))) if member.match(character))


def is_linear(run: Callable[[Any], object], short: Any, long: Any) -> bool:
    """Whether the long text takes only so much longer, in processor time; if not, it is measured again."""
    return any(_took(run, long) < MOST_RATIO * _took(run, short) for _ in range(3))


def _took(run: Callable[[Any], object], text: Any) -> float:
    best = float("inf")
    for _ in range(2):
        started = time.thread_time()
        run(text)
        best = min(best, time.thread_time() - started)
    return best


def use(pattern: re.Pattern[Any], method: str) -> Callable[[Any], object]:
    if method == "sub":
        return lambda text: pattern.sub(text[:0], text)
    return lambda text: (
        list(getattr(pattern, method)(text) or ()) if method == "finditer" else getattr(pattern, method)(text)
    )


ALL = list(expressions())


@pytest.mark.parametrize(
    ("pattern", "method"), [each[1:] for each in ALL], ids=[f"{each[0]}-{each[2]}" for each in ALL]
)
def test_an_expression_takes_linear_time(pattern: re.Pattern[Any], method: str) -> None:
    texts = zip(hostile_texts(pattern, SHORT), hostile_texts(pattern, SHORT * TIMES), strict=True)
    for short, long in texts:
        assert is_linear(use(pattern, method), short, long), f"{pattern.pattern!r}.{method} on {short[:60]!r}"


def test_the_test_finds_what_is_not_linear() -> None:
    for text, method in ((r"x(?: +[^y]*?)?y", "match"), (r"\{[^}]*\}", "sub")):
        pattern = re.compile(text)
        texts = zip(hostile_texts(pattern, SHORT), hostile_texts(pattern, SHORT * TIMES), strict=True)
        assert not all(is_linear(use(pattern, method), *each) for each in texts), text


@pytest.mark.parametrize(
    "text",
    ["::error{}", "::error {}::x", "::error::{}", "::{}::x", "::error {}"],
)
@pytest.mark.parametrize("pump", [" ", "a", ":", "=", ",", "%", "a=b,", "%0A"])
def test_a_line_is_searched_for_annotations_in_linear_time(text: str, pump: str) -> None:
    short, long = (text.format(pump * (each // len(pump))) for each in (SHORT, SHORT * TIMES))
    assert is_linear(lambda line: list(annotations.annotations_in([line])), short, long)


@pytest.mark.parametrize("pump", [b"\n", b"\x1b[", b"\x1b]", b"\x1bP", b"a\n", b"\r"])
def test_lines_are_cut_in_linear_time(pump: bytes) -> None:
    short, long = (pump * (each // len(pump)) for each in (SHORT, SHORT * TIMES))
    plain = lambda text: list(lines.without_escapes(lines.without_timestamps(lines.blocks([text]))))  # noqa: E731
    assert is_linear(plain, short, long)


@pytest.mark.parametrize("method", [LogIndex.find, LogIndex.find_begun])
def test_lines_that_are_alike_are_found_in_linear_time(method: Callable[..., object]) -> None:
    """Also where the last wanted line has not come yet, so that they almost stand at each place."""

    def alike(count: int) -> tuple[LogIndex, array[int]]:
        line = b"2026-11-24T02:15:41.0000000Z x"
        return LogIndex([(line + b"\n") * 2 * count]), array("q", [log_line_hash(line)] * count + [7])

    assert is_linear(lambda each: method(*each), alike(10 * SHORT), alike(10 * SHORT * TIMES))
