"""The errors that pydantic finds in a value, in our words."""

from collections.abc import Mapping
from typing import Any

_BOUNDS = {
    "greater_than": ("gt", "greater than {}"),
    "greater_than_equal": ("ge", "at least {}"),
    "less_than": ("lt", "less than {}"),
    "less_than_equal": ("le", "at most {}"),
}
_KINDS = {
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a whole number of fewer digits",
    "float_parsing": "a number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "string_type": "text",
    "string_pattern_mismatch": "1 to 100 characters, without / or \\",
    "too_short": "a list of at least one value",
}


def explained(error: Mapping[str, Any]) -> str:
    """Return what a value must be: ``must be greater than 0``.

    Args:
        error: one of ``ValidationError.errors()``.
    """
    kind, context = error["type"], error.get("ctx", {})
    if kind in _BOUNDS:
        name, form = _BOUNDS[kind]
        return f"must be {form.format(_number(context[name]))}"
    if kind in _KINDS:
        return f"must be {_KINDS[kind]}"
    if kind == "literal_error":
        return f"must be {context['expected']}"
    return str(error["msg"]).removeprefix("Value error, ")


def _number(bound: float) -> str:
    return f"{bound:,.0f}" if float(bound).is_integer() and abs(bound) < 1e15 else str(bound)
