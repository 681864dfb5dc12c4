"""A table survives its file unchanged; a file that is no table is refused with what would be right."""

import gzip

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from crlso import spaces
from crlso.exceptions import TableError, UnknownNameError
from crlso.spaces import get_space
from crlso.tables import Metric, Table, files, read_table, write_table

A, B, C, *_ = TEXTS = [arch.text for _, arch in zip(range(8), get_space("nasbench201").enumerate(), strict=False)]
SMALL = Table("nasbench201", "small", [A, B], {Metric("accuracy", "max", "percent", 200, "us"): np.array([1.0, 2.0])})

trial_arrays = arrays(
    np.float64, array_shapes(min_dims=2, max_dims=2, max_side=8), elements=st.floats(-1e6, 1e6) | st.just(np.nan)
).filter(lambda trials: not np.isnan(trials).all())


def csv(tmp_path, content, name="t.csv"):
    path = tmp_path / name
    path.write_text(content)
    return path


@given(trials=trial_arrays, fidelity=st.none() | st.integers(1, 1000), unit=st.text(max_size=5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_parquet_gives_back_the_same_table(tmp_path, trials, fidelity, unit):
    wide = Metric("a b.c", "min", unit, fidelity, "somewhere", trials.shape[1])
    single = np.where(np.arange(len(trials)) == 0, 0.5, np.nan)
    table = Table("nasbench201", "näme", TEXTS[: len(trials)], {wide: trials, Metric("single"): single})
    write_table(table, tmp_path / "t.parquet", overwrite=True)
    read = read_table(tmp_path / "t.parquet")
    assert (read.space, read.name, read.texts, read.metrics) == (table.space, table.name, table.texts, table.metrics)
    assert read.digest == table.digest
    np.testing.assert_array_equal(read.trials("a b.c"), trials)
    np.testing.assert_array_equal(read.column("single"), single)


def test_columns_of_a_foreign_file_are_metrics_and_blanks_are_not_measured(tmp_path):
    content = f"arch,top1,val_loss,throughput_a100,gpu_latency_ms,params\n{A},1,2,3,,5\n{B},1.5,2e0,-3,4,\n"
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(content.encode()))
    for path in (csv(tmp_path, content), tmp_path / "t.csv.gz", csv(tmp_path, "\ufeff" + content, "bom.csv")):
        table = read_table(path, "nasbench201")
        assert {metric.name: metric.direction for metric in table.metrics} == {
            "top1": "max", "val_loss": "min", "throughput_a100": "max", "gpu_latency_ms": "min", "params": "min"
        }  # fmt: skip
        assert table.texts == (A, B)
        assert (table.value(A, "gpu_latency_ms"), table.value(B, "gpu_latency_ms")) == (None, 4.0)
        assert table.value(B, "val_loss") == 2.0
        assert all(metric.fidelity is None and metric.source == path.name for metric in table.metrics)


def test_callers_choose_and_describe_columns(tmp_path):
    path = csv(tmp_path, f"id,arch,score,note\n1,{A},1,good\n2,{B},2,bad\n")
    described = Metric("score", "min", "mJ")
    table = read_table(path, "nasbench201", [described])
    assert table.metrics == (described,)
    assert read_table(path, "nasbench201", ["id", "score"]).column("id").tolist() == [1.0, 2.0]
    sparse = csv(tmp_path, f"arch,rare,common\n{A},,1\n{B},2,2\n", "sparse.csv")
    assert read_table(sparse, "nasbench201", ["rare"]).ranked("rare").tolist() == [1]
    with pytest.raises(UnknownNameError, match="known: id, note, score"):
        read_table(path, "nasbench201", ["accuracy"])


def test_parquet_of_pandas_is_read_like_csv(tmp_path):
    pd.DataFrame({"arch": [A, B], "loss": [1, 2], "top1": [np.nan, 2.0]}).to_parquet(tmp_path / "t.parquet")
    table = read_table(tmp_path / "t.parquet", "nasbench201")
    assert table.metric("loss").direction == "min"
    assert table.value(A, "top1") is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "t.csv.*[Ee]mpty"),
        ("arch,a\n", "at least one row"),
        (f"arch\n{A}\n", "one metric beside `arch`"),
        (f"architecture,a\n{A},1\n", "no column `arch`.*columns are architecture, a"),
        (f"arch,a,a\n{A},1,2\n", "'a' comes twice"),
        (f"arch,a\n{A},1\n{B},9O.3\n", "column 'a': row 2: .*'9O.3'.*correct the value, remove the column"),
        (f"arch,a,b\n{A},1,2\n{B},1,nan\n", "row 2: 'b' is nan: leave blank"),
        (f"arch,a\n{A},1\n{B},inf\n", "row 2: metric 'a' is infinite"),
        (f"arch,a\n{A},1\n{B},\n", "row 2: nothing was measured"),
        (f"arch,a,b\n{A},1,\n{B},1,\n", "'b' has no measurement"),
        (f"arch,a\n{A},1\n,2\n", "row 2: no architecture in the column"),
        (f"arch,a\n{A},1\nresnet,2\n", "row 2: no architecture of space nasbench201"),
        (f"arch,a\n{A},1,2\n", "Expected 2 columns, got 3"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, content, message):
    with pytest.raises(TableError, match=message):
        read_table(csv(tmp_path, content), "nasbench201")


@given(st.binary(max_size=200), st.sampled_from([".parquet", ".csv"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_garbage_is_refused(tmp_path, content, suffix):
    (tmp_path / f"t{suffix}").write_bytes(content)
    with pytest.raises(TableError):
        read_table(tmp_path / f"t{suffix}", "nasbench201")


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_parquet_is_refused_or_says_the_same(tmp_path, data):
    path = tmp_path / "t.parquet"
    write_table(SMALL, path, overwrite=True)
    path.write_bytes(path.read_bytes()[: data.draw(st.integers(0, path.stat().st_size - 1))])
    with pytest.raises(TableError, match=r"t\.parquet"):
        read_table(path)


@pytest.mark.parametrize(
    "said",
    [
        b"[]",
        b"{",
        b"\xff",
        b'{"space": "nasbench201", "name": "t", "metrics": [{"label": 1}]}',
        b'{"space": "nasbench201", "name": "t", "metrics": [{"name": "a", "direction": "up"}]}',
        b'{"space": "nasbench201", "name": "t", "metrics": [{"name": "a", "fidelity": "long"}]}',
    ],
)
def test_broken_descriptions_are_refused(tmp_path, said):
    columns = pa.table({"arch": [A], "a": [1.0]}).replace_schema_metadata({b"crlso": said})
    pa.parquet.write_table(columns, tmp_path / "t.parquet")
    with pytest.raises(TableError, match=r"t\.parquet"):
        read_table(tmp_path / "t.parquet", "nasbench201")


def test_text_columns_of_parquet_are_refused_by_name(tmp_path):
    pa.parquet.write_table(pa.table({"arch": [A], "a": ["1"]}), tmp_path / "t.parquet")
    with pytest.raises(TableError, match="'a' holds string, not numbers"):
        read_table(tmp_path / "t.parquet", "nasbench201")


def test_the_space_must_be_known_and_agree(tmp_path):
    with pytest.raises(TableError, match="name the space"):
        read_table(csv(tmp_path, f"arch,a\n{A},1\n"))
    write_table(SMALL, tmp_path / "t.parquet")
    with pytest.raises(TableError, match="of space nasbench201, not darts"):
        read_table(tmp_path / "t.parquet", "darts")
    with pytest.raises(UnknownNameError, match=r"known: .*nasbench201"):
        read_table(csv(tmp_path, f"arch,a\n{A},1\n"), "nasbench999")


def test_missing_and_foreign_files_are_named(tmp_path):
    with pytest.raises(TableError, match=r"nowhere\.csv: no such file"):
        read_table(tmp_path / "nowhere.csv", "nasbench201")
    with pytest.raises(TableError, match=r"\.csv, \.csv\.gz, \.parquet"):
        read_table(csv(tmp_path, "x", "t.xlsx"), "nasbench201")


def test_nothing_is_overwritten_unasked(tmp_path):
    write_table(SMALL, tmp_path / "t.parquet")
    before = (tmp_path / "t.parquet").read_bytes()
    with pytest.raises(TableError, match=r"already.*--force"):
        write_table(SMALL, tmp_path / "t.parquet")
    assert (tmp_path / "t.parquet").read_bytes() == before
    with pytest.raises(TableError, match=r"ends in \.parquet"):
        write_table(SMALL, tmp_path / "t.csv")
    with pytest.raises(TableError, match="create it first"):
        write_table(SMALL, tmp_path / "no" / "t.parquet")
    assert [file.name for file in tmp_path.iterdir()] == ["t.parquet"]


@pytest.mark.parametrize(("failure", "seen"), [(OSError(28, "No space left"), TableError), (KeyboardInterrupt(),) * 2])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, failure, seen):
    path = tmp_path / "t.parquet"
    path.write_bytes(b"old")

    def fail(columns, file):
        file.write(b"half")
        raise failure

    monkeypatch.setattr(files.pa.parquet, "write_table", fail)
    with pytest.raises(seen if isinstance(seen, type) else type(seen)):
        write_table(SMALL, path, overwrite=True)
    assert [file.name for file in tmp_path.iterdir()] == ["t.parquet"]
    assert path.read_bytes() == b"old"


def test_a_space_of_ones_own_is_named_by_its_file(tmp_path, monkeypatch):
    monkeypatch.setattr(spaces, "_SPACES", dict(spaces._SPACES))
    space, path = tmp_path / "space.yaml", tmp_path / "table.csv"
    space.write_text("{name: mine, kind: chain, notation: digits, blocks: [{repeat: 3, choices: {c: [a, b]}}]}")
    path.write_text("arch,accuracy\n011,1\na|a|b,2\n")
    table = read_table(path, str(space))
    assert table.space == "mine"
    assert table.texts == ("011", "001")
    write_table(table, tmp_path / "table.parquet")
    for name in (str(space), "mine", None):
        assert read_table(tmp_path / "table.parquet", name).digest == table.digest
    with pytest.raises(TableError, match="holds architectures of space mine, not nasbench201"):
        read_table(tmp_path / "table.parquet", "nasbench201")
