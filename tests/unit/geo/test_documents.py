from pathlib import Path

import pytest

from patrol.geo import documents
from patrol.geo.documents import DocumentError, read_json, read_yaml


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"{]", "is not JSON (Expecting property name enclosed in double quotes at line 1, column 2)"),
        (b'{"a": NaN}', "holds NaN"),
        (b'{"a": -Infinity}', "holds -Infinity"),
        (b"[1, 2]", "holds list where named values are wanted"),
        (b"\xff\xfe\x00", "is not text in UTF-8"),
        (b"", "is not JSON"),
        (b'{"a": ' + b"[" * 200_000, "is nested too deeply"),
        (b'{"a": 1' + b"0" * 5000 + b"}", "holds a number too long"),
    ],
)
def test_rubbish_gives_a_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "rubbish.json"
    path.write_bytes(content)
    with pytest.raises(DocumentError) as caught:
        read_json(path)
    assert str(caught.value).startswith(f"{path}: {sentence}")
    assert caught.value.exit_code == 2


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="no such file; check the name"):
        read_json(tmp_path / "none.json")
    with pytest.raises(DocumentError, match="is a folder; name the file in it"):
        read_json(tmp_path)


def test_huge_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "DOCUMENT_LIMIT_BYTES", 10)
    path = tmp_path / "huge.json"
    path.write_text('{"a": "bcdefghijk"}')
    with pytest.raises(DocumentError, match="MB read at most"):
        read_json(path)


def test_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "windows.json"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json(path) == {"a": 1}


def test_yaml_names_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: 1\nb: [1\nc: 2\n")
    with pytest.raises(DocumentError, match="is not YAML at line 3, column 2"):
        read_yaml(path)


def test_yaml_makes_no_objects(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(DocumentError, match="is not YAML"):
        read_yaml(path)
