"""Restricted readers give what pickle gives for plain data, and run nothing else."""

import collections
import io
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlso.exceptions import TableError
from crlso.tables.pickles import DigestingUnpickler, load_arrays, load_plain

atoms = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(min_size=1)
data = st.recursive(
    atoms,
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner),
    max_leaves=40,
)
protocols = st.integers(0, pickle.HIGHEST_PROTOCOL)


class Evil:
    def __reduce__(self):
        return os.mkdir, ("evil",)


def digesting(content, digest=lambda record: None):
    return DigestingUnpickler(io.BytesIO(content), "marked", digest).load()


@given(data, st.integers(2, pickle.HIGHEST_PROTOCOL))
def test_plain_data_read_as_pickle_reads_them(value, protocol):
    twice = [value, value]  # the second one is a reference into the memo
    assert digesting(pickle.dumps(twice, protocol)) == twice


@given(st.dictionaries(st.text(), st.integers() | st.floats(allow_nan=False) | st.text()), protocols)
def test_plain_reader_needs_no_global_for_plain_data(value, protocol):
    assert load_plain(io.BytesIO(pickle.dumps(value, protocol))) == value


@pytest.mark.parametrize("code", ["b1", "i4", "i8", "u1", "f4", "f8", ">f8"])
def test_numpy_scalars_and_ordered_dicts_become_plain(code):
    value = np.ones(1, dtype=code)[0]
    read = digesting(pickle.dumps(collections.OrderedDict(v=value, s={1, 2}), 2))
    assert read == {"v": 1, "s": {1, 2}}
    assert type(read["v"]).__module__ == "builtins"


@given(protocols)
def test_a_global_is_refused_by_name_and_never_called(protocol):
    content = pickle.dumps({"marked": Evil()}, protocol)
    for read in (digesting, lambda content: load_plain(io.BytesIO(content))):
        with pytest.raises(TableError, match=r"\.mkdir"):
            read(content)
    assert not Path("evil").exists()


@given(protocols, st.sampled_from(["u1", "i8", ">f4", "?"]), st.booleans())
def test_arrays_of_numbers_are_read_as_they_were(protocol, dtype, fortran):
    array = np.arange(6).reshape(2, 3).astype(dtype)
    array = np.asfortranarray(array) if fortran else array
    read = load_arrays(io.BytesIO(pickle.dumps({"data": array, "labels": [1, 2]}, protocol)))
    assert np.array_equal(read["data"], array)
    assert read["labels"] == [1, 2]


def test_arrays_of_objects_and_other_globals_are_refused():
    with pytest.raises(TableError, match="plain numbers"):
        load_arrays(io.BytesIO(pickle.dumps({"data": np.array([{}], dtype=object)})))
    with pytest.raises(TableError, match=r"\.mkdir"):
        load_arrays(io.BytesIO(pickle.dumps({"data": Evil()})))
    with pytest.raises(TableError, match="expected a dict"):
        load_arrays(io.BytesIO(pickle.dumps([1])))


def test_stand_ins_accept_numbers_only():
    with pytest.raises(TableError, match="plain numbers"):
        digesting(pickle.dumps(np.array([{}, "x"], dtype=object).dtype))
    with pytest.raises(TableError, match="latin1"):
        digesting(b"c_codecs\nencode\n(X\x01\x00\x00\x00aX\x03\x00\x00\x00hextR.")


def test_records_are_digested_before_the_next_one_is_read():
    records = [{"marked": i, "curve": {e: f"{i}@{e}" for e in range(5)}} for i in range(4)]
    content = pickle.dumps(records, 2)
    stream, seen = io.BytesIO(content), []

    def digest(record):
        seen.append((stream.tell(), record["marked"]))
        record["curve"].clear()

    read = DigestingUnpickler(stream, "marked", digest).load()
    assert [marked for _, marked in seen] == [0, 1, 2, 3]
    assert [position for position, _ in seen] == sorted({position for position, _ in seen})
    assert seen[0][0] < len(content) / 2
    assert all(record["curve"] == {} for record in read)


def test_equal_texts_are_kept_once():
    first, second = digesting(pickle.dumps(["x-valid@" + str(n) for n in (17, 17)], 2))
    assert first is second
