"""Canonical orders against trying all relabellings, on random labelled DAGs."""

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from crlso.spaces.isomorphism import canonical_order, rearranged, twin_ranks


@st.composite
def dags(draw):
    """A DAG of one to five vertices, numbered topologically, with labels of two kinds."""
    n = draw(st.integers(1, 5))
    bits = draw(st.lists(st.booleans(), min_size=n * n, max_size=n * n))
    matrix = tuple(tuple(int(i < j and bits[i * n + j]) for j in range(n)) for i in range(n))
    return matrix, tuple(draw(st.lists(st.sampled_from("ab"), min_size=n, max_size=n)))


def relabelled(dag, order):
    matrix, labels = dag
    return rearranged(matrix, order), tuple(labels[vertex] for vertex in order)


def is_topological(matrix):
    return not any(matrix[i][j] for i in range(len(matrix)) for j in range(i + 1))


def canonical(dag):
    return relabelled(dag, canonical_order(*dag))


@given(dag=dags())
def test_every_topological_numbering_gives_one_form(dag):
    numberings = [relabelled(dag, order) for order in permutations(range(len(dag[0])))]
    forms = {canonical(other) for other in numberings if is_topological(other[0])}
    assert forms == {canonical(dag)}
    assert is_topological(canonical(dag)[0])


@given(one=dags(), other=dags())
def test_forms_are_equal_only_for_isomorphic_dags(one, other):
    isomorphic = any(relabelled(one, order) == other for order in permutations(range(len(one[0]))))
    assert (canonical(one) == canonical(other)) == isomorphic


@given(dag=dags())
def test_expression_and_rank_name_one_vertex(dag):
    """Vertices of one rank differ in their label or in the vertices that they read."""
    matrix, labels = dag
    reads = [
        (rank, labels[j], frozenset(i for i in range(j) if matrix[i][j]))
        for j, rank in enumerate(twin_ranks(matrix, labels))
    ]
    assert len(set(reads)) == len(reads)


def test_twins_are_counted_and_others_are_not():
    matrix = ((0, 1, 1, 1, 0), (0, 0, 0, 0, 1), (0, 0, 0, 0, 1), (0, 0, 0, 0, 1), (0, 0, 0, 0, 0))
    assert twin_ranks(matrix, "ibcba") == [0, 0, 0, 1, 0]
