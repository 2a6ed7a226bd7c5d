"""Joint distributions small enough to write down: what independence means, what it saves, and Bayes' rule.

Three binary variables are conditionally independent, then not, then only unconditionally: each joint is a Table, and
its slices are drawn with their mutual information. Then a cause is explained away by another; a medical test is read by
Bayes' rule; and free parameters are counted, for n bits and for a pixel. The derivations are in docs/probability.md.
"""
import numpy as np
from matplotlib.figure import Figure

from minigen.demo import Demo
from minigen.distributions import Table, independent_parameters, joint_parameters, markov_parameters
from minigen.viz.figure import FAINT, INK, PALETTE, new_axes, save

DPI = 120                                                               # of the pictures: small files
BLUE, ORANGE, GREEN, RED = PALETTE[:4]


def main():
    """Draw, and print what is known."""
    with Demo("tables", __doc__) as demo:
        draw_independence(three_joints(), demo)
        draw_explaining(demo)
        draw_bayes(demo)
        draw_counts(demo)


# ---- independence ----------------------------------------------------------------------------------------------------
def bit(name, p):
    """p(name) of one bit that is 1 with probability p."""
    return Table([1 - p, p], name)


def given(name, *conditions, ones):
    """p(name | conditions) of bits, from an array of the probabilities that it is 1."""
    ones = np.asarray(ones, dtype=float)
    return Table(np.stack([1 - ones, ones]), name, *conditions, conditions=len(conditions))


def three_joints():
    """{title: p(x, y, z)}: a common cause z, the same with a link between x and y, and a common effect z."""
    z, x = bit("z", 0.4), given("x", "z", ones=[0.1, 0.8])
    common_cause = z * x * given("y", "z", ones=[0.2, 0.7])
    linked = z * x * given("y", "x", "z", ones=[[0.1, 0.4], [0.9, 0.8]])
    effect = bit("x", 0.3) * bit("y", 0.4) * given("z", "x", "y", ones=[[0.05, 0.8], [0.8, 0.95]])
    return {"common cause:  x ← z → y": common_cause, "the same, and x → y": linked,
            "common effect:  x → z ← y": effect}


def draw_independence(joints, demo):
    """A row for each joint: p(x, y), p(x, y | z = 0), p(x, y | z = 1), each beside the product of its marginals."""
    figure = Figure(figsize=(9.6, 8.4), layout="constrained")
    figure.suptitle("x and y, of which z is a cause or an effect. In brackets what p(x) p(y) would be; red: more than "
                    "that,\nblue: less. I is the mutual information", fontsize=11, color=INK, x=0.01, ha="left")
    parts = figure.subfigures(3, 1)
    for part, (title, p) in zip(parts, joints.items()):
        both, held = p.mutual_information("x", "y"), p.mutual_information("x", "y", given="z")
        told = ["independent" if p.independent("x", "y", given=z) else "not independent" for z in ((), "z")]
        part.suptitle(f"{title}        x and y are {told[0]};  given z they are {told[1]}", fontsize=10, color=INK,
                      x=0.01, ha="left")
        slices = {"p(x, y)": p.marginal("x", "y"), "p(x, y | z = 0)": p.given(z=0), "p(x, y | z = 1)": p.given(z=1)}
        for panel, (name, table) in zip(part.subplots(1, 3), slices.items()):
            draw_square(panel, name, table.marginal("x", "y"))
        key = title.split(":")[0].split(",")[0].replace(" ", "_")
        demo.metric(f"I_{key}", both, "nats, I(x; y)")
        demo.metric(f"I_given_z_{key}", held, "nats, I(x; y | z)")
    save(figure, demo.path("independence.png"), DPI)


def draw_square(panel, name, p):
    """A 2 × 2 table with its numbers, coloured by p(x, y) − p(x) p(y)."""
    product = (p.marginal("x") * p.marginal("y")).probabilities
    panel.imshow((p.probabilities - product).T, cmap="RdBu_r", vmin=-0.25, vmax=0.25, origin="lower", aspect="auto")
    for x, y in np.ndindex(2, 2):
        panel.text(x, y, f"{p.probabilities[x, y]:.3f}\n({product[x, y]:.3f})", ha="center", va="center", fontsize=9,
                   color=INK)
    panel.set(xticks=[0, 1], yticks=[0, 1], xticklabels=["x = 0", "x = 1"], yticklabels=["y = 0", "y = 1"])
    panel.tick_params(length=0, labelsize=9, colors=INK)
    panel.spines[:].set_visible(False)
    panel.set_title(f"{name}:  I = {abs(p.mutual_information('x', 'y')):.4f} nats", fontsize=9, color=INK)


# ---- explaining away -------------------------------------------------------------------------------------------------
def draw_explaining(demo):
    """Two rare causes of an alarm: each becomes likely when it rings, and less so when the other is known."""
    p = (bit("burglar", 0.01) * bit("earthquake", 0.02)
         * given("alarm", "burglar", "earthquake", ones=[[0.001, 0.3], [0.9, 0.95]]))
    asked = {"p(burglar)": {}, "p(burglar | earthquake)": {"earthquake": 1}, "p(burglar | alarm)": {"alarm": 1},
             "p(burglar | alarm, no earthquake)": {"alarm": 1, "earthquake": 0},
             "p(burglar | alarm, earthquake)": {"alarm": 1, "earthquake": 1}}
    answers = {name: (p.given(**known) if known else p).probability(burglar=1) for name, known in asked.items()}
    figure, axes = new_axes(7.6, 2.9, "probability", None)
    figure.suptitle("Explaining away: burglar and earthquake are independent, until the alarm rings.\nThen each is "
                    "evidence against the other", fontsize=10, color=INK, x=0.01, ha="left")
    axes.barh(list(answers), list(answers.values()), color=[FAINT, FAINT, RED, RED, ORANGE], height=0.62)
    for i, value in enumerate(answers.values()):
        axes.text(value + 0.01, i, f"{value:.3f}", va="center", fontsize=9, color=INK)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.1)
    axes.grid(visible=False, axis="y")
    save(figure, demo.path("explaining_away.png"), DPI)
    demo.metric("burglar_alarm", answers["p(burglar | alarm)"], "p(burglar | alarm)")
    demo.metric("burglar_explained", answers["p(burglar | alarm, earthquake)"], "p(burglar | alarm, earthquake)")


# ---- Bayes' rule -----------------------------------------------------------------------------------------------------
def draw_bayes(demo):
    """p(ill | positive) against how common the illness is, for one to three tests of the same quality."""
    figure, axes = new_axes(6.8, 3.8, "p(ill): how common the illness is", "p(ill | tests)",
                            "Bayes' rule: a test that finds 90 % of the ill, and is wrong about 5 % of the healthy. Of "
                            "a rare illness, most positives are healthy")
    common = np.geomspace(1e-3, 0.9, 60)
    axes.semilogx(common, common, color=FAINT, linewidth=1.6, label="before any test")
    for tests, colour in zip((1, 2, 3), PALETTE):
        names, after = [f"t{i}" for i in range(tests)], []
        for rate in common:
            p = bit("ill", rate)
            for name in names:
                p = p * given(name, "ill", ones=[0.05, 0.9])
            after.append(p.given(**dict.fromkeys(names, 1)).probability(ill=1))
        axes.semilogx(common, after, color=colour, linewidth=1.6, label=f"{tests} positive test{'s' * (tests > 1)}")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(0.0, 0.84))
    save(figure, demo.path("bayes.png"), DPI)
    p = bit("ill", 0.01) * given("t", "ill", ones=[0.05, 0.9])
    demo.metric("ill_if_positive", p.given(t=1).probability(ill=1), "p(ill | positive) where 1 in 100 is ill")


# ---- counting --------------------------------------------------------------------------------------------------------
def draw_counts(demo):
    """Free parameters of n bits under three assumptions, as a table and as lines; and a pixel."""
    n = np.arange(1, 11)
    counts = {"any joint, 2ⁿ − 1": [joint_parameters([2] * i) for i in n],
              "Markov chain, 2n − 1": [markov_parameters([2] * i) for i in n],
              "independent, n": [independent_parameters([2] * i) for i in n]}
    figure = Figure(figsize=(9.4, 4.2), layout="constrained")
    figure.suptitle("How many numbers a distribution over n bits has: what an assumption saves", fontsize=11, color=INK,
                    x=0.01, ha="left")
    lines, numbers = figure.subplots(1, 2, width_ratios=(1.1, 1))
    for (name, values), colour in zip(counts.items(), (RED, ORANGE, BLUE)):
        lines.semilogy(n, values, "o-", color=colour, markersize=4, label=name)
    lines.set(xlabel="n", ylabel="free parameters", xticks=n)
    lines.spines[["top", "right"]].set_visible(False)
    lines.spines[["left", "bottom"]].set_color(FAINT)
    lines.tick_params(which="both", colors=INK, labelsize=9, color=FAINT)
    lines.grid(color="#eeeeee")
    lines.legend(frameon=False, fontsize=9)
    pixel = [256] * 3
    cells = [[str(i), *(f"{values[i - 1]:,}" for values in counts.values())] for i in n]
    cells.append(["RGB pixel", f"{joint_parameters(pixel):,}", f"{markov_parameters(pixel):,}",
                  str(independent_parameters(pixel))])
    numbers.set_axis_off()
    table = numbers.table(cells, colLabels=["n", "any joint", "Markov chain", "independent"], loc="center",
                          cellLoc="right", colWidths=[0.2, 0.27, 0.27, 0.26])
    table.auto_set_font_size(False)
    table.set_fontsize(9)
    table.scale(1, 1.25)
    for (row, _), cell in table.get_celld().items():
        cell.set(edgecolor="#dddddd", facecolor="#f3f6f9" if row == 0 else "white")
    save(figure, demo.path("counting.png"), DPI)
    demo.metric("joint_10", counts["any joint, 2ⁿ − 1"][-1], "free parameters of 10 bits")
    demo.metric("pixel_joint", joint_parameters(pixel), "free parameters of three bytes")
    demo.metric("pixel_independent", independent_parameters(pixel), "of three independent bytes")


if __name__ == "__main__":
    main()
