"""Curves show the numbers they were given; the map shows every latent, in its colour, in the right plane."""
import numpy as np
import pytest
from matplotlib.colors import to_hex

import minigen as mg
from minigen.viz import curves, latent_map
from minigen.viz.curves import principal_plane
from minigen.viz.figure import PALETTE


def lines(figure):
    """{label: (x, y)} of what is drawn."""
    return {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in figure.axes[0].lines}


def test_curves_draw_the_numbers_and_name_the_axes(tmp_path):
    figure = curves({"train": ([10, 20], mg.tensor([3.0, 2.0])), "test": [5.0, 4.0, 3.5]}, tmp_path / "c.png",
                    ylabel="bits", title="two curves", levels={"published": 1.5})
    drawn = lines(figure)
    assert drawn["train"] == ([10, 20], [3, 2]) and drawn["test"] == ([0, 1, 2], [5, 4, 3.5])
    assert set(drawn["published"][1]) == {1.5}
    axes = figure.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title("left")) == ("step", "bits", "two curves")
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["train", "test", "published"]
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


def test_a_line_of_one_point_can_be_seen():
    assert curves({"test": ([60], [2.0])}).axes[0].lines[0].get_marker() == "o"


@pytest.mark.parametrize("log", ["", "x", "y", "xy"])
def test_logarithmic_axes(log):
    axes = curves({"a": ([1, 10, 100], [1.0, 0.1, 0.01])}, log=log).axes[0]
    assert axes.get_xscale() == ("log" if "x" in log else "linear")
    assert axes.get_yscale() == ("log" if "y" in log else "linear")


def test_more_lines_than_colours():
    assert len(lines(curves({str(k): [k, k + 1.0] for k in range(23)}))) == 23


def test_no_lines_at_all():
    assert curves({}).axes[0].get_legend() is None


def test_bad_curves_are_refused():
    with pytest.raises(ValueError, match=r"'a' wants x and y of one length, got shapes \(2,\) and \(3,\)"):
        curves({"a": ([1, 2], [1, 2, 3])})
    with pytest.raises(ValueError, match=r"'a' wants x and y of one length, got shapes \(2,\) and \(2, 2\)"):
        curves({"a": np.zeros((2, 2))})
    with pytest.raises(ValueError, match="logarithmic, .* got True"):
        curves({"a": [1, 2]}, log=True)


# ---- the map ---------------------------------------------------------------------------------------------------------
def test_two_latents_are_drawn_as_they_are():
    z, y = np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0], [4.0, 7.0]]), np.array([3, 3, 7, 7])
    axes = latent_map(mg.tensor(z), y, title="latents").axes[0]
    cloud = axes.collections[0]
    np.testing.assert_array_equal(cloud.get_offsets(), z)
    assert [to_hex(c) for c in cloud.get_facecolors()] == [PALETTE[0].lower()] * 2 + [PALETTE[1].lower()] * 2
    assert {t.get_text(): t.get_position() for t in axes.texts} == {"3": (1, 2), "7": (4, 6)}
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title("left")) == ("z[0]", "z[1]", "latents")


def test_without_labels_there_is_one_colour_and_no_text():
    axes = latent_map(np.random.default_rng(0).standard_normal((9, 2))).axes[0]
    assert len(np.unique(axes.collections[0].get_facecolors(), axis=0)) == 1 and not axes.texts


def test_more_dimensions_are_shown_in_their_principal_plane():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((500, 5)) * [0.1, 4.0, 0.1, 2.0, 0.1]
    axes = latent_map(z, title="t").axes[0]
    plane, share = principal_plane(z)
    np.testing.assert_array_equal(axes.collections[0].get_offsets(), plane)
    assert axes.get_title("left") == f"t, principal plane, {share:.0%} of the variance" and share > 0.99
    assert axes.get_xlabel() == "principal component 1"


def test_principal_plane_equals_the_singular_value_decomposition():
    z = np.random.default_rng(1).standard_normal((40, 6)) * np.arange(1, 7)
    plane, share = principal_plane(z)
    centred = z - z.mean(axis=0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(np.abs(plane), np.abs(u[:, :2] * s[:2]), atol=1e-10)
    assert share == pytest.approx((s[:2] ** 2).sum() / (s ** 2).sum())


def test_latents_that_coincide_and_a_single_one():
    assert latent_map(np.ones((5, 3))).axes[0].get_title("left") == "principal plane, 0% of the variance"
    assert len(latent_map(np.ones((1, 3))).axes[0].collections[0].get_offsets()) == 1


def test_more_classes_than_colours():
    z = np.random.default_rng(0).standard_normal((26, 2))
    assert len(latent_map(z, np.arange(26)).axes[0].texts) == 26


@pytest.mark.parametrize("z, labels, message", [
    (np.zeros((4, 1)), None, r"latents \(N, K\), N ≥ 1, K ≥ 2, got shape \(4, 1\)"),
    (np.zeros(4), None, r"got shape \(4,\)"),
    (np.zeros((0, 2)), None, r"got shape \(0, 2\)"),
    (np.zeros((4, 2)), [1, 2, 3], r"one label for each of 4 latents, got shape \(3,\)"),
    (np.array([[np.nan, 1.0], [0, 0], [0, np.inf]]), None, "2 of 3 latents are not finite"),
])
def test_bad_latents_are_refused(z, labels, message):
    with pytest.raises(ValueError, match=message):
        latent_map(z, labels)
