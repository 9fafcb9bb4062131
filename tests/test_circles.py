"""No module imports one that imports it."""

from __future__ import annotations

import graphlib

import grimp
import pytest


def test_no_imports_go_round_in_circles() -> None:
    """By no way round, nor inside of functions; only for type checkers."""
    graph = grimp.build_graph("livevision", exclude_type_checking_imports=True)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    try:
        tuple(graphlib.TopologicalSorter(imports).static_order())
    except graphlib.CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))
