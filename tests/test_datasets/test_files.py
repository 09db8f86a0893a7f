import os

import pytest

from mim_plugin.datasets.files import class_folders, find_images, read_lines
from mim_plugin.errors import DataError


@pytest.fixture
def folder(tmp_path):
    names = ['b.jpg', 'A.JPEG', 'z/c.png', 'z/deep/d é.webp', 'z/notes.txt', '.hidden/e.jpg', '._b.jpg', 'noending']
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def test_images_are_found_recursively_and_sorted(folder):
    assert find_images(str(folder)) == ['A.JPEG', 'b.jpg', 'z/c.png', 'z/deep/d é.webp']


def test_search_can_stay_in_the_folder_and_ask_for_endings(folder):
    assert find_images(str(folder), recursive=False) == ['A.JPEG', 'b.jpg']
    assert find_images(str(folder), extensions=['.txt']) == ['z/notes.txt']


def test_links_are_followed_but_never_in_circles(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp('elsewhere')
    (elsewhere / 'far.png').touch()
    os.symlink(elsewhere, folder / 'link')
    os.symlink(folder, folder / 'z' / 'circle')
    assert find_images(str(folder)) == ['A.JPEG', 'b.jpg', 'link/far.png', 'z/c.png', 'z/deep/d é.webp']


def test_a_missing_folder_and_a_file_are_named(folder):
    with pytest.raises(DataError, match='nowhere does not exist; set data_root'):
        find_images(str(folder / 'nowhere'))
    with pytest.raises(DataError, match='b.jpg is a file, not a folder'):
        find_images(str(folder / 'b.jpg'))


def test_class_folders_are_sorted_folders(folder):
    assert class_folders(str(folder)) == ['z']
    with pytest.raises(DataError, match='does not exist'):
        class_folders(str(folder / 'nowhere'))


def test_lists_may_hold_blank_lines_and_must_be_text(tmp_path):
    (tmp_path / 'list.txt').write_text('a.jpg\n\n  b.jpg \n')
    assert read_lines(str(tmp_path / 'list.txt')) == ['a.jpg', 'b.jpg']
    (tmp_path / 'binary').write_bytes(b'\xff\xfe\xff')
    for name in ('binary', 'missing'):
        with pytest.raises(DataError, match=f'{name} cannot be read'):
            read_lines(str(tmp_path / name))
