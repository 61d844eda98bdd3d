"""The gallery: its page, its pictures and the script that makes them say the same."""

import re
from pathlib import Path

import pytest
from gallery import IMAGES, MOST_BYTES, PICTURES
from PIL import Image
from support.pages import open_at

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "gallery.md").read_text("utf-8")
SHOWN = re.compile(r"!\[([^\]]+)\]\(images/([\w-]+)\.png\)")


def script(database):
    from dashboard.app import render  # noqa: PLC0415 - Streamlit runs this function's source

    render(database)


def test_the_page_shows_each_picture_once_and_nothing_else():
    shown = [name for _, name in SHOWN.findall(PAGE)]
    assert sorted(shown) == sorted(picture.name for picture in PICTURES)
    assert len(SHOWN.findall(PAGE)) == PAGE.count("](images/")


def test_no_file_lies_there_that_the_script_does_not_make():
    assert {file.name for file in IMAGES.iterdir()} == {each.file.name for each in PICTURES}
    assert sum(file.stat().st_size for file in IMAGES.iterdir()) <= MOST_BYTES


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_a_picture_is_as_wide_as_the_script_makes_it(picture):
    with Image.open(picture.file) as image:
        assert image.width == picture.width
        assert 300 < image.height <= picture.height


def test_every_page_of_the_dashboard_is_pictured(database):
    pages = open_at(script, database).session_state["pages"]
    assert {picture.path for picture in PICTURES} == set(pages)


def test_the_readme_shows_one_of_them():
    shown = re.findall(r"\(docs/images/([\w-]+)\.png\)", (ROOT / "README.md").read_text("utf-8"))
    assert shown
    assert set(shown) <= {picture.name for picture in PICTURES}
