"""Every pixel of every image is where it should be, in the picture and in the file."""
import matplotlib.image
import numpy as np
import pytest

import minigen as mg
from minigen.viz import image_grid, images as pictures, interpolation, latent_traversal, reconstructions

GAP, BAND = pictures.GAP, pictures.BAND


def some(n, h=4, w=5, c=1, seed=0):
    """n images of random pixels, (n, h, w, c)."""
    return np.random.default_rng(seed).random((n, h, w, c))


def shown(figure):
    """The tiled picture of a figure."""
    return np.asarray(figure.axes[0].images[0].get_array())


def cell(picture, row, column, h=4, w=5, band=0):
    """The image in a row and a column of a picture; ``band`` counts the wider gaps above."""
    y, x = row * (h + GAP) + band * BAND, column * (w + GAP)
    return picture[y:y + h, x:x + w]


def labels(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


# ---- tiles -----------------------------------------------------------------------------------------------------------
def test_tile_puts_images_row_by_row_on_white():
    a = some(5)
    picture, ys, xs = pictures._tile([a[:3], a[3:]])
    assert picture.shape == (2 * 4 + GAP, 3 * 5 + 2 * GAP, 3)
    assert ys == [0, 4 + GAP] and xs == [0, 5 + GAP, 2 * (5 + GAP)]
    for k in range(5):
        np.testing.assert_array_equal(cell(picture, k // 3, k % 3), np.broadcast_to(a[k], (4, 5, 3)))
    assert (cell(picture, 1, 2) == 1).all() and (picture[4:4 + GAP] == 1).all() and (picture[:, 5:5 + GAP] == 1).all()


def test_tile_keeps_colours_and_paints_nan():
    a = some(2, c=3)
    a[1, 2, 3] = np.nan
    picture, _, _ = pictures._tile([a[:0], a])                                      # an empty row is a row too
    picture = picture[4 + GAP:]
    np.testing.assert_array_equal(cell(picture, 0, 0), a[0])
    np.testing.assert_array_equal(cell(picture, 0, 1)[2, 3], pictures.NAN)


# ---- grids -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("n, columns, rows, across",
                         [(1, None, 1, 1), (4, None, 2, 2), (7, None, 3, 3), (7, 2, 4, 2), (3, 8, 1, 3)])
def test_image_grid_is_square_unless_told(n, columns, rows, across):
    picture = shown(image_grid(some(n), columns=columns))
    assert picture.shape == (rows * (4 + GAP) - GAP, across * (5 + GAP) - GAP, 3)


def test_image_grid_takes_every_layout_alike(backend):
    digits = mg.data.digits("test")["x"][:6]                                        # uint8 (6, 28, 28, 1)
    reference = shown(image_grid(digits))
    for images in (digits[..., 0], digits / np.float32(255), mg.tensor(digits / np.float64(255)), mg.tensor(digits)):
        np.testing.assert_allclose(shown(image_grid(images)), reference, rtol=1e-6)
    np.testing.assert_array_equal(cell(reference, 1, 2, 28, 28)[..., 0], digits[5, ..., 0] / 255)


def test_values_outside_the_unit_interval_are_clipped():
    picture = shown(image_grid(np.array([-1.0, 0.25, 3.0]).reshape(1, 1, 3, 1)))
    np.testing.assert_array_equal(picture[0, :, 0], [0, 0.25, 1])


def test_one_pixel_of_an_image_is_a_square_of_equal_pixels_in_the_file(tmp_path):
    path = tmp_path / "grid.png"
    digits = mg.data.digits("test")["x"][:12]
    figure = image_grid(digits, path, columns=4, title="twelve digits")
    file = matplotlib.image.imread(path)[..., :3]                                   # (rows, columns, RGB) in [0, 1]
    k = round(pictures.SIZE / shown(figure).shape[1])
    expected = np.repeat(np.repeat(shown(figure), k, axis=0), k, axis=1)
    bottom, right = file.shape[0] - 12, file.shape[1] - 12                          # 12: the margin
    drawn = file[bottom - expected.shape[0]:bottom, right - expected.shape[1]:right]
    assert k > 1 and right == expected.shape[1] + 12
    np.testing.assert_allclose(drawn, expected, atol=1.01 / 255)
    assert (file[bottom:] == 1).all() and (file[:, :12] == 1).all() and (file[:, right:] == 1).all()


def test_a_long_title_is_wrapped_within_the_picture(tmp_path):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    figure = image_grid(some(4, 28, 28), title="a title that is so long that it cannot stand in one line " * 3)
    renderer = FigureCanvasAgg(figure).get_renderer()
    box = figure.texts[0].get_window_extent(renderer)
    assert box.x0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
    assert box.y0 >= figure.axes[0].get_window_extent(renderer).y1


@pytest.mark.parametrize("images, message", [
    (np.zeros((2, 4, 4, 2)), r"image_grid: wants images .* got shape \(2, 4, 4, 2\)"),
    (np.zeros((4, 4)), r"got shape \(4, 4\)"),
    (np.zeros((0, 4, 4, 1)), r"N ≥ 1, got shape \(0, 4, 4, 1\)"),
    (np.zeros((2, 4, 4, 1), np.int64), "floats in .* or uint8, got int64"),
])
def test_bad_images_are_refused(images, message):
    with pytest.raises(ValueError, match=message):
        image_grid(images)


def test_no_columns_are_refused():
    with pytest.raises(ValueError, match="columns must be at least 1, got 0"):
        image_grid(some(3), columns=0)


def test_rows_and_columns_of_a_grid_have_names():
    axes = image_grid(some(6, 28, 28), columns=3, labels=["step 1", "step 2"], heads=["a", "b", "c"]).axes[0]
    assert labels(axes.yaxis) == ["step 1", "step 2"] and labels(axes.xaxis) == ["a", "b", "c"]
    with pytest.raises(ValueError, match="wants 2 labels or none, got 3"):
        image_grid(some(6), columns=3, labels=["a", "b", "c"])
    with pytest.raises(ValueError, match="wants 3 heads or none, got 2"):
        image_grid(some(6), columns=3, heads=["a", "b"])


# ---- reconstructions -------------------------------------------------------------------------------------------------
def test_reconstructions_pair_every_original_with_its_own():
    a, b = some(21), some(21, seed=1)
    figure = reconstructions(a, b, labels=("x", "E[x|z]"))
    picture = shown(figure)
    assert labels(figure.axes[0].yaxis) == ["x", "E[x|z]"] * 2
    for k in range(21):                                                             # 21 in two bands: 11 and 10
        band, column = divmod(k, 11)
        np.testing.assert_array_equal(cell(picture, 2 * band, column, band=band)[..., :1], a[k])
        np.testing.assert_array_equal(cell(picture, 2 * band + 1, column, band=band)[..., :1], b[k])
    assert picture.shape == (4 * (4 + GAP) - GAP + BAND, 11 * (5 + GAP) - GAP, 3)


def test_labels_stand_at_the_middle_of_their_rows():
    figure = reconstructions(some(20), some(20))
    tops = [0, 4 + GAP, 2 * (4 + GAP) + BAND, 3 * (4 + GAP) + BAND]
    assert list(figure.axes[0].get_yticks()) == [top + 1.5 for top in tops]


def test_reconstructions_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"originals \(2, 4, 5, 1\) and restored \(3, 4, 5, 1\) must have one shape"):
        reconstructions(some(2), some(3))


# ---- latents ---------------------------------------------------------------------------------------------------------
def decode(z):
    """Images (N, 4, 5, 1) of one grey each: 0.5 + z[0] / 10 + z[1] / 100."""
    assert isinstance(z, np.ndarray) and z.dtype == np.float32 and z.ndim == 2
    return mg.tensor(np.broadcast_to((0.5 + z[:, 0] / 10 + z[:, 1] / 100)[:, None, None, None], (len(z), 4, 5, 1)))


def test_traversal_moves_one_coordinate_at_a_time():
    figure = latent_traversal(decode, mg.tensor([1, 2]), [1, 0], span=1, steps=5)
    picture, values = shown(figure), [-1, -0.5, 0, 0.5, 1]
    for column, v in enumerate(values):
        np.testing.assert_allclose(cell(picture, 0, column), 0.5 + 0.1 + v / 100, rtol=1e-6)
        np.testing.assert_allclose(cell(picture, 1, column), 0.5 + v / 10 + 0.02, rtol=1e-6)
    assert labels(figure.axes[0].yaxis) == ["z[1]", "z[0]"]
    assert labels(figure.axes[0].xaxis) == ["−1", "−0.5", "0", "+0.5", "+1"]


def test_labels_above_narrow_columns_are_thinned_out():
    figure = latent_traversal(decode, [0.0, 0.0], [0], steps=61)
    assert 5 < len(labels(figure.axes[0].xaxis)) < 31
    assert labels(figure.axes[0].xaxis)[0] == "−3" and figure.axes[0].get_xticks()[0] == 2


def test_interpolation_is_a_straight_line():
    figure = interpolation(decode, [[0.0, 0.0], [1.0, 5.0]], mg.tensor([[2.0, 0.0], [-1.0, 5.0]]), steps=3)
    picture = shown(figure)
    for column, (top, bottom) in enumerate([(0.5, 0.65), (0.6, 0.55), (0.7, 0.45)]):
        np.testing.assert_allclose(cell(picture, 0, column), top, rtol=1e-6)
        np.testing.assert_allclose(cell(picture, 1, column), bottom, rtol=1e-6)
    assert labels(figure.axes[0].xaxis) == ["0", "0.5", "1"]


@pytest.mark.parametrize("call, message", [
    (lambda: latent_traversal(decode, np.zeros((1, 2)), [0]), r"traversal: wants a latent \(K,\) .* shape \(1, 2\)"),
    (lambda: latent_traversal(decode, np.zeros(2), [2]), r"coordinates of it, got shape \(2,\) and \[2\]"),
    (lambda: latent_traversal(decode, np.zeros(2), []), r"and \[\]"),
    (lambda: latent_traversal(lambda z: decode(z)[:3], np.zeros(2), [0]), "decode made 3 images of 13 latents"),
    (lambda: interpolation(decode, np.zeros((2, 2)), np.zeros((3, 2))), r"got shapes \(2, 2\) and \(3, 2\)"),
    (lambda: interpolation(decode, np.zeros(2), np.zeros(2)), r"\(rows, K\), got shapes \(2,\) and \(2,\)"),
    (lambda: interpolation(lambda z: z, np.zeros((1, 2)), np.zeros((1, 2))), r"polation: wants images .* \(11, 2\)"),
])
def test_bad_latents_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
