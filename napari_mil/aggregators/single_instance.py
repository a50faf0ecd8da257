"""Single-instance baseline: every instance learns the label of its bag.

The mean of the instance probabilities answers for the bag. This is the baseline "SI" of the HAMIL
paper; how it combines instances is not stated there, the mean is chosen here.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from napari_mil.aggregators.output import PackedOutput
from napari_mil.aggregators.pooling import InstanceMean


class SingleInstance(InstanceMean):
    """Instance classifier trained on the label of the bag.

    Parameters as `PoolingBaseline`.
    """

    def losses(
        self, output: PackedOutput, target: Tensor | None, instance_target: Tensor | None
    ) -> Mapping[str, Tensor]:
        """Return the mean loss of the instances.

        It is taken on their own targets where there are any, or else on the target of the bag.
        """
        assert output.instance_logits is not None
        if instance_target is not None:
            return {"instances": self.instance_loss(output.instance_logits, instance_target)}
        if target is None:
            return {}
        return {"instances": self.shared_loss(output.instance_logits, target)}
