from dataclasses import replace

from service.maps import Maps


def test_a_map_is_made_once_for_each_digest_and_old_ones_are_let_go(model):
    maps = Maps()
    first = maps.of(model)
    assert maps.of(model) is first
    others = [replace(model, digest=str(number)) for number in range(4)]
    for other in others:
        assert maps.of(other) is not first
    assert maps.of(others[-1]).content == maps.of(others[-1]).content
    assert maps.of(model) is not first


def test_costs_are_null_where_there_are_none(model):
    made = Maps().of(model)
    object.__setattr__(made.atlas, "costs", {})
    assert b'"params":null' in made.content
    assert made.show(0).params is None
    assert list(made.order("params")) == list(range(len(made.atlas.architectures)))
