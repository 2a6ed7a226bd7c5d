"""The oldest autoregressive model, AR(p): recover its coefficients, see its roots, forecast with an interval.

First on series drawn from a known AR(2): three ways to fit it find φ again, and forecasts cover as often as they say,
unless φ had to be estimated from few values. Then on the series for which G. U. Yule invented the model in 1927, the
yearly sunspot numbers of Wolf and Wolfer. The model is minigen/models/autoregressive/ar.py, the derivation
docs/autoregressive.md.
"""
import math

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse, Polygon

import minigen as mg
from minigen.demo import Demo
from minigen.models.autoregressive import AR
from minigen.training import Adam, Trainer
from minigen.viz.figure import FAINT, INK, PALETTE, finish, new_axes

TRUTH = AR(2, phi=np.array([1.4, -0.75]), c=0.35)
FIRST_YEAR = 1749                        # of the yearly sunspot numbers that Yule had, up to 1924
SUNSPOTS = np.array("""
 80.9  83.4  47.7  47.8  30.7  12.2   9.6  10.2  32.4  47.6  54.0  62.9  85.9  61.2  45.1  36.4  20.9  11.4  37.8  69.8
106.1 100.8  81.6  66.5  34.8  30.6   7.0  19.8  92.5 154.4 125.9  84.8  68.1  38.5  22.8  10.2  24.1  82.9 132.0 130.9
118.1  89.9  66.6  60.0  46.9  41.0  21.3  16.0   6.4   4.1   6.8  14.5  34.0  45.0  43.1  47.5  42.2  28.1  10.1   8.1
  2.5   0.0   1.4   5.0  12.2  13.9  35.4  45.8  41.1  30.1  23.9  15.6   6.6   4.0   1.8   8.5  16.6  36.3  49.6  64.2
 67.0  70.9  47.8  27.5   8.5  13.2  56.9 121.5 138.3 103.2  85.7  64.6  36.7  24.2  10.7  15.0  40.1  61.5  98.5 124.7
 96.3  66.6  64.5  54.1  39.0  20.6   6.7   4.3  22.7  54.8  93.8  95.8  77.2  59.1  44.0  47.0  30.5  16.3   7.3  37.6
 74.0 139.0 111.2 101.6  66.2  44.7  17.0  11.3  12.4   3.4   6.0  32.3  54.3  59.7  63.7  63.5  52.2  25.4  13.1   6.8
  6.3   7.1  35.6  73.0  85.1  78.0  64.0  41.8  26.2  26.7  12.1   9.5   2.7   5.0  24.4  42.0  63.5  53.8  62.0  48.5
 43.9  18.6   5.7   3.6   1.4   9.6  47.4  57.1 103.9  80.6  63.6  37.6  26.1  14.2   5.8  16.7""".split(), dtype=float)


def main():
    """Recover, cover, forecast."""
    with Demo("ar_forecast", __doc__) as demo:
        count = 40 if demo.smoke else 400
        recover(demo, count)
        cover(demo, 10 * count)
        sunspots(demo)


# ---- a known model ---------------------------------------------------------------------------------------------------
def recover(demo, count, length=200):
    """Fit many series of the known model, each in closed form two ways, and the first by gradient."""
    truth = AR(2, length, TRUTH.phi.numpy(), float(TRUTH.c))
    series = truth.sample(count, rng=demo.seed).numpy()
    found = {"least squares": np.array([AR.least_squares(y, 2).phi.numpy() for y in series]),
             "Yule–Walker": np.array([AR.yule_walker(y, 2).phi.numpy() for y in series])}
    gamma = truth.autocovariance(1)
    covariance = np.linalg.inv(np.array([gamma, gamma[::-1]])) / length              # of φ̂, for long series
    for (name, phi), key in zip(found.items(), ("ls", "yw")):
        z = phi - truth.phi.numpy()
        inside = (z @ np.linalg.inv(covariance) * z).sum(axis=1) < -2 * math.log(0.05)       # χ² with 2 degrees
        demo.metric(f"inside_{key}", 100 * inside.mean(), "% of fits in the 95 % ellipse")
        demo.metric(f"bias_phi2_{key}", z[:, 1].mean(), "mean error of φ₂")
    draw_triangle(found, covariance, length, demo.path("recovered.png"))
    train(demo, mg.tensor(series[:1]), 60 if demo.smoke else 600)


def train(demo, y, steps):
    """By gradient: the loss falls to that of least squares."""
    exact, model = AR.least_squares(y, 2), AR(2, phi=np.zeros(2))
    trainer = Trainer(model, lambda p: Adam(p, lr=0.03), lambda rng: {"x": y}, seed=demo.seed, log_every=5)
    trainer.run(steps)
    best = float(exact.objectives()[0].loss({"x": y}, None)["loss"])
    demo.metric("gradient_gap", trainer.history[-1]["loss"] - best, "nats per value above least squares")
    mg.viz.curves({"by gradient (Adam)": ([line["step"] for line in trainer.history],
                                          [line["loss"] for line in trainer.history])},
                  demo.path("gradient.png"), ylabel="−log p, nats per value", levels={"least squares": best},
                  title="AR(2) by gradient finds the optimum that has a formula")


def cover(demo, count, steps=20):
    """How often 90 % intervals cover, with the true φ, and with φ estimated from 30 or 100 values."""
    lines = {}
    for known in (None, 100, 30):
        length = known or 30
        y = AR(2, length + steps, TRUTH.phi.numpy(), float(TRUTH.c)).sample(count, rng=demo.seed + 1).numpy()
        hits = np.zeros(steps)
        for row in y if known else [y]:
            model = AR.least_squares(row[:length], 2) if known else TRUTH
            low, high = model.forecast(row[..., :length], steps).interval(0.9)
            ahead = row[..., length:]
            hits += np.atleast_2d((low < ahead) & (ahead < high)).sum(axis=0)
        name = f"φ estimated from {known} values" if known else "φ and σ known"
        lines[name] = (np.arange(1, steps + 1), 100 * hits / count)
        demo.metric(f"coverage_{known or 'known'}", lines[name][1][-1], f"% covered at {steps} steps, wanted 90")
    mg.viz.curves(lines, demo.path("coverage.png"), xlabel="steps ahead", ylabel="covered, %", levels={"promised": 90},
                  title="With φ and σ estimated from few values, forecasts promise too much")


# ---- Yule's series ---------------------------------------------------------------------------------------------------
def sunspots(demo, ahead=36):
    """Fit all but the last years, forecast them, and look at the roots."""
    box = AR.yule_walker(SUNSPOTS[1770 - FIRST_YEAR:1870 - FIRST_YEAR], 2)         # the textbooks' hundred years
    for i, phi in enumerate(box.phi.numpy(), 1):
        demo.metric(f"phi{i}_1770_1869", phi, "Yule–Walker, 1770 to 1869")
    models = {p: AR.least_squares(SUNSPOTS[:-ahead], p) for p in (2, 9)}
    for p, model in models.items():
        forecast, y = model.forecast(SUNSPOTS[:-ahead], ahead), SUNSPOTS[-ahead:]
        low, high = forecast.interval(0.9)
        demo.metric(f"covered_ar{p}", 100 * ((low < y) & (y < high)).mean(), f"% of {ahead} years in the 90 % interval")
        demo.metric(f"rms_first_11_ar{p}", math.sqrt(((forecast.mean - y)[:11] ** 2).mean()), "sunspots, years 1 to 11")
        slowest = model.roots()[np.argmax(np.abs(model.roots()) * (np.abs(np.angle(model.roots())) > 0.1))]
        demo.metric(f"period_ar{p}", 2 * math.pi / abs(np.angle(slowest)), "years, of the slowest oscillating root")
    draw_forecasts(models, ahead, demo.path("sunspots.png"))
    draw_roots({"the known AR(2)": TRUTH, **{f"sunspots, AR({p})": model for p, model in models.items()}},
               demo.path("roots.png"))


# ---- pictures --------------------------------------------------------------------------------------------------------
def draw_triangle(found, covariance, length, path):
    """Estimates in the plane of φ₁ and φ₂, with the triangle in which AR(2) is stationary."""
    figure, axes = new_axes(7.6, 4.6, "φ₁", "φ₂", f"AR(2) fitted to {len(found['least squares'])} series of {length} "
                            "values each; the true φ is where the lines cross")
    axes.add_patch(Polygon([(-2, -1), (2, -1), (0, 1)], facecolor="#f3f6f9", edgecolor=FAINT, zorder=0))
    phi1 = np.linspace(-2, 2, 200)
    axes.plot(phi1, -phi1 ** 2 / 4, color=FAINT, linewidth=1, linestyle="--")
    axes.text(-0.9, -0.7, "stationary inside the triangle;\nbelow the dashed line it oscillates", fontsize=8, color=INK)
    x, y = TRUTH.phi.numpy()
    close = axes.inset_axes([0.03, 0.5, 0.36, 0.46])
    widths, vectors = np.linalg.eigh(covariance)
    width, height = 2 * np.sqrt(-2 * math.log(0.05) * widths)
    angle = math.degrees(math.atan2(vectors[1, 0], vectors[0, 0]))
    for panel, size in ((axes, 3), (close, 5)):
        for (name, phi), colour in zip(found.items(), PALETTE):
            panel.scatter(*phi.T, s=size, color=colour, alpha=0.5, linewidths=0, label=name)
        panel.axvline(x, color=INK, linewidth=0.6)
        panel.axhline(y, color=INK, linewidth=0.6)
        panel.add_patch(Ellipse((x, y), width, height, angle=angle, fill=False, edgecolor=INK, linewidth=1,
                                label="95 % of long series' least squares"))
    close.set(xlim=(x - 0.25, x + 0.2), ylim=(y - 0.17, y + 0.25), xticks=[], yticks=[])
    axes.set(xlim=(-2.1, 2.1), ylim=(-1.1, 1.1))
    axes.legend(frameon=False, fontsize=8, loc="upper right")
    finish(figure, path)


def draw_forecasts(models, ahead, path):
    """Sunspots, and what each model says of the years it has not seen."""
    figure = Figure(figsize=(7.4, 4.6), layout="constrained")
    years = FIRST_YEAR + np.arange(len(SUNSPOTS))
    for k, (p, model) in enumerate(models.items()):
        axes = figure.add_subplot(len(models), 1, k + 1)
        forecast = model.forecast(SUNSPOTS[:-ahead], ahead)
        for level, alpha in ((0.9, 0.15), (0.5, 0.25)):
            axes.fill_between(years[-ahead:], *forecast.interval(level), color=PALETTE[k], alpha=alpha, linewidth=0,
                              label=f"{level:.0%} interval")
        axes.plot(years, SUNSPOTS, color=INK, linewidth=1, label="seen, and not seen")
        axes.plot(years[-ahead:], forecast.mean, color=PALETTE[k], linewidth=2, label="forecast")
        axes.axvline(years[-ahead] - 0.5, color=FAINT, linewidth=1)
        axes.set(xlim=(1820, years[-1]), ylim=(-60, 170), ylabel="sunspot number")
        axes.set_title(f"AR({p}) fitted to the years {years[0]} to {years[-ahead] - 1}; the rest it has not seen. (No "
                       "sun has fewer than 0 spots: the noise is not Gaussian.)", fontsize=9, color=INK, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=7.5, loc="upper left", ncols=4)
    figure.axes[-1].set_xlabel("year")
    finish(figure, path)


def draw_roots(models, path):
    """Roots of the characteristic polynomials in the unit circle."""
    figure = Figure(figsize=(3 * len(models), 3.3), layout="constrained")
    circle = np.exp(1j * np.linspace(0, 2 * np.pi, 200))
    for k, (name, model) in enumerate(models.items()):
        axes, z = figure.add_subplot(1, len(models), k + 1), model.roots()
        axes.fill(circle.real, circle.imag, color="#f3f6f9")
        axes.plot(circle.real, circle.imag, color=FAINT, linewidth=1)
        axes.scatter(z.real, z.imag, color=PALETTE[k], s=30, zorder=3)
        slowest = z[np.argmax(np.abs(z) * (np.abs(np.angle(z)) > 0.1))]
        period = 2 * math.pi / abs(np.angle(slowest))
        axes.set(xlim=(-1.15, 1.15), ylim=(-1.15, 1.15), aspect="equal", xticks=[-1, 0, 1], yticks=[-1, 0, 1],
                 xlabel="real part", ylabel="imaginary part")
        axes.set_title(f"{name}: largest |z| = {np.abs(z).max():.2f},\nit swings with period {period:.1f}", fontsize=9,
                       color=INK)
        axes.spines[:].set_visible(False)
    finish(figure, path)


if __name__ == "__main__":
    main()
