"""The reference page and the package agree on what there is."""

import re
from pathlib import Path

import pytest

from otel_ml import stats

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "statistics.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", stats.__all__)
def test_every_public_name_is_on_the_page(name):
    assert re.search(rf"`{name}\b", PAGE)


def test_every_function_of_the_page_is_public():
    named = re.findall(r"^\| `(\w+)\(", PAGE, flags=re.MULTILINE)
    functions = [name for name in stats.__all__ if name.islower()]
    assert sorted(named) == sorted(functions)


@pytest.mark.parametrize("name", stats.__all__)
def test_every_public_name_has_a_docstring_and_every_function_an_example(name):
    docstring = getattr(stats, name).__doc__
    assert docstring
    assert ">>>" in docstring or not name.islower()
