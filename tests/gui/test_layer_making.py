"""Layers made from their specifications; no viewer."""

import numpy as np
import pytest

from napari_mil.gui.layer_making import fading_colormap, make_layer
from napari_mil.gui.model.display import Role
from napari_mil.gui.model.layer_specs import LayerSpec, LayerType
from napari_mil.gui.model.placement import Affine


@pytest.mark.parametrize("name", ["viridis", "magma", "gray"])
def test_colours_of_low_values_leave_the_tissue_alone(name):
    alpha = fading_colormap(name).map(np.array([0.0, 0.5, 1.0]))[:, 3]
    assert (np.diff(alpha) > 0).all()
    assert 0 < alpha[0] < 0.1
    assert alpha[-1] == pytest.approx(0.55)


def test_a_map_of_values_lies_where_its_specification_says():
    spec = LayerSpec(
        key=("overlay",),
        role=Role.OVERLAY,
        type=LayerType.VALUES,
        name="attention",
        data=np.zeros((3, 4), np.float32),
        affine=Affine((2.0, 2.0), (5.0, 7.0)),
        units=("um", "um"),
        visible=False,
        opacity=0.4,
    )
    layer = make_layer(spec)
    assert layer.name == "attention"
    assert tuple(layer.scale) == (2.0, 2.0)
    assert tuple(layer.translate) == (5.0, 7.0)
    assert not layer.visible
    assert layer.opacity == 0.4
    assert layer.data is not spec.data, "painting a layer leaves the model alone"
