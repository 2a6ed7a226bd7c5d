"""Pictures, one call each: every function returns a matplotlib Figure, and saves it where a ``path`` is given."""
from minigen.viz.curves import curves, latent_map
from minigen.viz.figure import save
from minigen.viz.graph import draw_graph
from minigen.viz.images import image_grid, interpolation, latent_traversal, reconstructions
from minigen.viz.sight import receptive_fields

__all__ = ["curves", "draw_graph", "image_grid", "interpolation", "latent_map", "latent_traversal", "receptive_fields",
           "reconstructions", "save"]
