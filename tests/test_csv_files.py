"""Tables with their own checksum: damage, copies to other places, and tables from elsewhere."""

import csv
import itertools

import numpy as np
import pandas as pd
import pytest

from workflow_src.csv_files import read_cells, read_csv, read_published, write_csv
from workflow_src.errors import DamagedFile
from workflow_src.paths import place

TABLE = pd.DataFrame(
    {"game": ["pong", "nan", 'a "b", c'], "f1": [0.1, np.nan, 1 / 3], "n": [1, 20, 300]}
)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "results" / "tables" / "a.csv"
    write_csv(path, TABLE)
    return path


def test_a_table_comes_back_to_the_last_bit(file):
    found = read_csv(file, text=["game"])
    pd.testing.assert_frame_equal(found, TABLE.astype({"n": float}))
    assert pd.read_csv(file).columns.tolist() == ["game", "f1", "n", "sha256"]
    before = file.read_bytes()
    write_csv(file, TABLE)
    assert file.read_bytes() == before


def test_the_checksum_is_in_the_first_row_alone(file):
    sealed = [row[-1] for row in csv.reader(file.read_text().splitlines())]
    digest, where = sealed[1].split("  ")
    assert len(digest) == 64 and where == "results/tables/a.csv"
    assert sealed[0] == "sha256" and sealed[2:] == ["", ""]


def test_no_byte_can_change_without_being_noticed(file):
    whole, changed = file.read_bytes(), 0
    for at, other in itertools.product(range(len(whole)), b'7,"\nx'):
        content = whole[:at] + bytes([other]) + whole[at + 1 :]
        if content == whole:
            continue
        file.write_bytes(content)
        try:
            found = read_csv(file, text=["game"])
        except DamagedFile as error:
            assert str(error).startswith(f"{file} is damaged (")
            assert str(error).endswith("): delete it and make it again")
            changed += 1
        else:  # another way to write the same cells
            pd.testing.assert_frame_equal(found, TABLE.astype({"n": float}))
    assert changed > 700


@pytest.mark.parametrize("part", ["half", "last row", "all rows", "checksums", "everything"])
def test_a_cut_table_is_refused(file, part):
    lines = file.read_text().splitlines(keepends=True)
    text = {
        "half": "".join(lines)[: len("".join(lines)) // 2],
        "last row": "".join(lines[:-1]),
        "all rows": lines[0],
        "checksums": TABLE.to_csv(index=False),
        "everything": "",
    }[part]
    file.write_text(text)
    with pytest.raises(DamagedFile, match=r"a\.csv is damaged"):
        read_csv(file, text=["game"])


def test_a_copy_in_the_place_of_another_is_refused(file):
    other = file.with_name("b.csv")
    other.write_bytes(file.read_bytes())
    with pytest.raises(DamagedFile, match=r"b\.csv is damaged \(it was made as results/tables/a"):
        read_cells(other)


def test_a_copy_outside_of_a_run_is_read(file, tmp_path):
    other = tmp_path / "b.csv"
    other.write_bytes(file.read_bytes())
    assert len(read_cells(other)) == 3
    assert [place(path) for path in (file, other)] == ["results/tables/a.csv", ""]


def test_a_table_without_rows_has_a_checksum_too(tmp_path):
    file = tmp_path / "a.csv"
    write_csv(file, pd.DataFrame(columns=["epoch"]))
    assert read_csv(file, text=[]).columns.tolist() == ["epoch"]
    whole = file.read_text()
    assert whole.startswith("epoch,sha256 ") and whole.count("\n") == 1
    for cut in range(len(whole) - 1):
        file.write_text(whole[:cut])
        with pytest.raises(DamagedFile):
            read_csv(file, text=[])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a,a\n1,2\n", "two columns have the same name, or one has none"),
        ("a,\n1,2\n", "two columns have the same name, or one has none"),
        ("a,b\n1\n", "row 2 has 1 cells, not 2"),
        ("a,b\n1,x\n", "could not convert string to float"),
        ("b\n1\n", "the column a is missing"),
        ('a,b\n"1,2\n', "unexpected end of data"),
        ("", "not enough values to unpack"),
    ],
)
def test_what_is_no_table_is_refused_from_elsewhere_too(tmp_path, text, why):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(DamagedFile, match=why):
        read_csv(tmp_path / "a.csv", text=[], numbers=["a", "b"], foreign=True)


def test_a_table_from_elsewhere_may_be_edited(file):
    table = pd.read_csv(file, keep_default_na=False)
    table["n"] = 7
    table.to_csv(file, index=False)
    with pytest.raises(DamagedFile, match="its checksum does not match"):
        read_csv(file, text=["game"])
    assert read_csv(file, text=["game"], foreign=True)["n"].tolist() == [7, 7, 7]


def test_published_numbers_are_those_of_the_repository(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    (tmp_path / "SHA256SUMS").write_text(
        "d5a6d2ad8a42bd5d6f5ee3a9a3b9ba6ac8a26b4a4ea4ef7e8f5ba6a0b5b0dd51  a.csv\n"
    )
    with pytest.raises(DamagedFile, match=r"its checksum is not in .*SHA256SUMS\): take"):
        read_published(tmp_path, "a.csv", text=["a"])
