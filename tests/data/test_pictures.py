"""One's own picture: what does not change the digit does not change what is read, and what is no digit is refused."""

import builtins
import io
import itertools
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from minimodels.data import load_mnist, pictures, read_digit
from minimodels.errors import InputError

Image = pytest.importorskip("PIL.Image", reason="Pillow comes with the plot extra")

REAL = Path(__file__).parents[2].parent / "shared" / "data" / "mnist"
Pixels = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pictures") / "digit.png"


@st.composite
def drawings(draw: st.DrawFn, least: int = 30, most: int = 70) -> Pixels:
    """White strokes on black with a margin, on a page of so many pixels: lines between random points."""
    side = draw(st.integers(least, most))
    random = np.random.default_rng(draw(st.integers(0, 10_000)))
    page = np.zeros((side, side), np.uint8)
    points = random.integers(3, side - 3, (4, 2))
    for start, end in itertools.pairwise(points):
        for t in np.linspace(0, 1, 2 * side):
            y, x = np.round(start + t * (end - start)).astype(int)
            page[y - 1 : y + 2, x - 1 : x + 2] = 255
    return page


def read(path: Path, picture: object, box: int = 20, **options: object) -> Tensor:
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(path, **options)
    return read_digit(path, box)


@given(page=drawings())
def test_what_is_read_looks_like_the_training_data(path: Path, page: Pixels) -> None:
    digit = read(path, page)
    assert digit.shape == (1, 28, 28)
    assert digit.dtype == torch.float32
    assert digit.min() == 0
    assert digit.max() == 1
    assert max(digit[0].any(dim=0).sum(), digit[0].any(dim=1).sum()) == 20


@given(page=drawings())
def test_polarity_does_not_matter(path: Path, page: Pixels) -> None:
    torch.testing.assert_close(read(path, 255 - page), read(path, page), rtol=0, atol=1e-4)


def blur(page: Pixels) -> float:
    """By how much the mean over the paper can change where small ink is interpolated: between the centres of pixels.

    A step from paper to ink becomes a ramp, r = outputs/inputs pixels of the result long at most, and shorter in the
    enlargement. Between two such lies an area of r/4 at most, for each pixel along the step, which gets r pixels of the
    other axis, or an eighth more where they do not fall evenly.
    """
    rows, columns = (np.flatnonzero((page > 0).any(axis)) for axis in (1, 0))
    ink = page[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] > 0
    ratios = [max(1, round(side * 20 / max(ink.shape))) / side for side in ink.shape]
    steps = sum(np.count_nonzero(np.diff(ink, axis=axis)) for axis in (0, 1))
    return 0.0 if max(ink.shape) >= 20 else ratios[0] * ratios[1] / 4 * 9 / 8 * steps / 28**2


@given(page=st.one_of(drawings(), drawings(10, 22)), factor=st.integers(2, 5))
def test_whole_enlargement_changes_nothing_but_the_edges_of_small_ink(path: Path, page: Pixels, factor: int) -> None:
    """Ink of 20 pixels and more is averaged over areas: the mean of means is the mean. Smaller ink is interpolated, and
    its mass may then fall to the other side of a pixel's middle, by which it is centred.
    """
    larger, same = read(path, np.kron(page, np.ones((factor, factor), np.uint8))), read(path, page)
    if blur(page) == 0:
        torch.testing.assert_close(larger, same, rtol=0, atol=1e-4)
    else:
        shifted = (larger.roll(by, (1, 2)) for by in itertools.product((0, 1, -1), repeat=2))
        assert min((other - same).abs().mean() for other in shifted) <= blur(page)


@given(page=drawings(), margins=st.tuples(*[st.integers(0, 50)] * 4))
def test_margins_do_not_matter(path: Path, page: Pixels, margins: tuple[int, int, int, int]) -> None:
    wider = np.pad(page, (margins[:2], margins[2:]))
    torch.testing.assert_close(read(path, wider), read(path, page), rtol=0, atol=1e-4)


@given(page=drawings(), low=st.integers(0, 90), high=st.integers(140, 255))
def test_contrast_does_not_matter(path: Path, page: Pixels, low: int, high: int) -> None:
    pale = np.where(page > 0, high, low).astype(np.uint8)
    torch.testing.assert_close(read(path, pale), read(path, page), rtol=0, atol=1e-4)


@given(page=drawings(), mode=st.sampled_from(["1", "LA", "P", "RGB", "RGBA", "I;16"]))
def test_the_kind_of_pixels_does_not_matter(path: Path, page: Pixels, mode: str) -> None:
    picture = Image.fromarray(page.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(page).convert(mode)
    torch.testing.assert_close(read(path, picture), read(path, page), rtol=0, atol=1e-4)


@given(page=drawings(), ink=st.sampled_from([0, 60, 200, 255]), hidden=st.integers(0, 255))
def test_ink_on_transparency_is_seen_whatever_its_colour(path: Path, page: Pixels, ink: int, hidden: int) -> None:
    layers = np.stack([np.where(page > 0, ink, hidden).astype(np.uint8)] * 3 + [page], axis=-1)
    torch.testing.assert_close(read(path, layers), read(path, page), rtol=0, atol=1e-4)


@given(page=drawings(), seed=st.integers(0, 100))
def test_grain_and_shading_of_the_paper_change_little(path: Path, page: Pixels, seed: int) -> None:
    side = len(page)
    shading = np.linspace(200, 225, side)[:, None] + np.random.default_rng(seed).normal(0, 4, (side, side))
    photo = np.where(page > 0, 40, shading).clip(0, 255).astype(np.uint8)
    assert (read(path, photo) - read(path, page)).abs().mean() < 0.02


@given(page=drawings())
def test_paper_that_is_lighter_in_the_middle_is_not_taken_for_ink(path: Path, page: Pixels) -> None:
    hill = np.sin(np.linspace(0, np.pi, len(page)))
    photo = np.where(page > 0, 40, 180 + 20 * hill[:, None] * hill).astype(np.uint8)
    assert (read(path, photo) - read(path, page)).abs().mean() < 0.02


def test_a_telephone_that_was_held_sideways(path: Path) -> None:
    page = np.zeros((40, 60), np.uint8)
    page[5:35, 10:15] = page[5:10, 10:50] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: the top of the scene is on the right
    sideways = read(path, np.rot90(page).copy(), exif=exif)
    torch.testing.assert_close(sideways, read(path, page), rtol=0, atol=1e-4)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM", "JPEG"])
def test_formats(tmp_path: Path, path: Path, kind: str) -> None:
    page = np.zeros((60, 40), np.uint8)
    page[10:50, 15:25] = 255
    other = read(tmp_path / "digit.any", page, format=kind)
    assert (other - read(path, page)).abs().mean() < 0.02


def test_a_garment_that_fills_its_paper_reads_back_as_it_is(path: Path) -> None:
    boot = np.zeros((28, 28), np.uint8)
    boot[:, 5:13] = 200
    boot[20:, 5:22] = 255
    torch.testing.assert_close(read(path, boot, box=28)[0], torch.from_numpy(boot) / 255, rtol=0, atol=1e-4)


@pytest.mark.skipif(not REAL.is_dir(), reason="../shared/data/mnist is not here")
def test_mnist_reads_back_as_it_is(path: Path) -> None:
    _, test = load_mnist(data_dir=REAL)
    differences = [(read(path, (i[0] * 255).round().byte().numpy()) - i).abs().mean() for i in test.images[:100]]
    assert torch.stack(differences).mean() < 0.01  # a digit in a hundred or so is put a pixel further


@given(data=st.data(), page=drawings(), kind=st.sampled_from(["PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM", "JPEG"]))
def test_a_damaged_file_is_read_or_refused_in_one_sentence(
    path: Path, data: st.DataObject, page: Pixels, kind: str
) -> None:
    stream = io.BytesIO()
    Image.fromarray(page).save(stream, format=kind)
    content = bytearray(stream.getvalue())
    for place in data.draw(st.lists(st.integers(0, min(len(content), 200) - 1), max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            digit = read_digit(path)
        except InputError as error:
            message = str(error)
        else:
            message = f"{path}"
            assert digit.shape == (1, 28, 28)
            assert digit.isfinite().all()
    assert message.startswith(str(path))
    assert "\n" not in message


@pytest.mark.parametrize("shade", [0, 128, 255])
def test_a_blank_page_is_refused(path: Path, shade: int) -> None:
    with pytest.raises(InputError, match=r"digit\.png: the picture is blank"):
        read(path, np.full((30, 30), shade, np.uint8))


def test_an_entirely_transparent_page_is_blank(path: Path) -> None:
    with pytest.raises(InputError, match="blank"):
        read(path, np.zeros((30, 30, 4), np.uint8))


def test_an_enormous_picture_is_refused_before_it_is_decoded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MAX_PIXELS", 899)
    with pytest.raises(InputError, match="30×30 pixels are too many"):
        read(path, np.zeros((30, 30), np.uint8))


@pytest.mark.parametrize("shape", [(1, 9_000_000), (20_001, 1)])
def test_a_picture_of_an_enormous_side_is_refused(path: Path, shape: tuple[int, int]) -> None:
    page = np.zeros(shape, np.uint8)
    page.flat[5_000] = 255
    with pytest.raises(InputError, match=f"{shape[1]}×{shape[0]} pixels are too many"):
        read(path, page)


def test_pixels_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no finite numbers"):
        read(tmp_path / "digit.tiff", np.full((30, 30), np.nan, np.float32))


@pytest.mark.parametrize("content", [b"", b"just text", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n"])
def test_what_is_no_picture_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"digit\.png: not a readable picture .* give one of PNG, JPEG"):
        read_digit(path)


def test_only_the_named_formats_are_decoded(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a readable picture"):
        read(tmp_path / "digit.tga", np.eye(30, dtype=np.uint8) * 255)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    for missing in (tmp_path / "nothing.png", tmp_path):
        with pytest.raises(InputError, match="there is no such file"):
            read_digit(missing)


def test_without_pillow_the_remedy_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_pillow(name: str, *rest: object) -> object:
        if name.split(".")[0] == "PIL":
            raise ImportError(name)
        return real(name, *rest)  # type: ignore[arg-type]

    Image.fromarray(np.zeros((3, 3), np.uint8)).save(path)
    monkeypatch.setattr(builtins, "__import__", without_pillow)
    with pytest.raises(InputError, match=r"run: pip install pillow$"):
        read_digit(path)
