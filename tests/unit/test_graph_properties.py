"""What holds for every document: valid ones, broken ones, and any JSON value at all."""

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from core.graph import Limits, compile_document
from core.plan import Plan
from tests.strategies.graphs import (
    CATALOGUE,
    Document,
    documents,
    json_values,
    mutants,
    near_documents,
)

few = settings(max_examples=60, deadline=None)


def runs(item: Document) -> bool:
    return CATALOGUE[item["type"]].executable and not item["config"].get("disabled")


def check_invariants(plan: Plan, graph: Document) -> None:
    assert list(plan.nodes) == [item["id"] for item in graph["nodes"] if runs(item)]
    assert sorted(plan.order) == sorted(plan.nodes)
    place = {name: index for index, name in enumerate(plan.order)}
    assert all(place[e.source] < place[e.target] for e in plan.edges)
    assert len(set(plan.edges)) == len(plan.edges)
    assert all(
        plan.nodes[name].type in ("trigger", "webhook", "schedule") for name in plan.triggers
    )
    assert all(not plan.incoming[name] for name in plan.triggers)


def reachable(pairs: set[tuple[str, str]], start: str) -> set[str]:
    found: set[str] = set()
    todo = [start]
    while todo:
        here = todo.pop()
        new = {target for source, target in pairs if source == here} - found
        found |= new
        todo += new
    return found


@few
@given(documents())
def test_a_valid_document_compiles(graph: Document) -> None:
    before = copy.deepcopy(graph)
    compiled = compile_document(graph, CATALOGUE)
    assert compiled.errors == ()
    assert compiled.plan is not None
    check_invariants(compiled.plan, graph)
    assert graph == before


@few
@given(documents())
def test_disabling_nodes_keeps_what_leads_where(graph: Document) -> None:
    """Through what is disabled the same nodes lead to the same nodes: no way lost, none new."""
    plan = compile_document(graph, CATALOGUE).plan
    assert plan is not None
    silent = {item["id"] for item in graph["nodes"] if item["type"] == "comment"}
    drawn = {(e["fromNodeId"], e["toNodeId"]) for e in graph["connections"]}
    drawn = {pair for pair in drawn if not silent & set(pair)}
    walked = {(e.source, e.target) for e in plan.edges}
    for name in plan.nodes:
        assert reachable(walked, name) == reachable(drawn, name) & set(plan.nodes)


@few
@given(documents(), st.randoms(use_true_random=False))
def test_the_order_of_nodes_changes_no_edge(graph: Document, random: Any) -> None:
    shuffled = {**graph, "nodes": random.sample(graph["nodes"], len(graph["nodes"]))}
    one, other = (compile_document(item, CATALOGUE).plan for item in (graph, shuffled))
    assert one is not None
    assert other is not None
    assert one.edges == other.edges
    assert one.nodes == other.nodes


# B041 to B095: each kind of mistake is found in any document.
@settings(max_examples=200, deadline=None)
@given(mutants())
def test_every_mutant_is_caught(mutant: tuple[Document, str]) -> None:
    graph, code = mutant
    compiled = compile_document(graph, CATALOGUE)
    assert code in {problem.code for problem in compiled.errors}
    assert compiled.plan is None


@settings(max_examples=120, deadline=None)
@given(json_values | near_documents, st.booleans(), st.integers(0, 5))
def test_any_value_gives_an_answer_and_always_the_same(
    value: Any, lenient: bool, max_problems: int
) -> None:
    limits = Limits(max_nodes=5, max_edges=6, max_string=20, max_problems=max_problems)
    one = compile_document(value, CATALOGUE, limits, lenient)
    other = compile_document(copy.deepcopy(value), CATALOGUE, limits, lenient)
    assert one.problems == other.problems
    assert len(one.problems) <= max_problems
    assert one.plan is None or not one.errors
    assert one.plan is not None or one.errors or one.truncated
    for problem in one.problems:
        assert problem.message.isprintable()
        problem.pointer.encode()


@few
@given(near_documents)
def test_lenient_accepts_whatever_strict_does(value: Any) -> None:
    strict = compile_document(value, CATALOGUE)
    if strict.plan is not None:
        lenient = compile_document(value, CATALOGUE, lenient=True)
        assert lenient.plan == strict.plan
