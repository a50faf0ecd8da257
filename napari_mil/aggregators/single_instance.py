"""No bags at all: every instance learns the label of its bag, and the mean of their probabilities answers for the bag.

The baseline "SI" of the HAMIL paper; how it combines instances is not stated there, the mean is our choice.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from napari_mil.aggregators.output import PackedOutput
from napari_mil.aggregators.pooling import InstanceMean


class SingleInstance(InstanceMean):
    """A classifier of instances that is trained on the label of the bag.

    Parameters as `PoolingBaseline`.
    """

    def losses(
        self, output: PackedOutput, target: Tensor | None, instance_target: Tensor | None
    ) -> Mapping[str, Tensor]:
        """One term: the mean loss of the instances on their own targets, or else on the target of the bag."""
        assert output.instance_logits is not None
        if instance_target is not None:
            return {"instances": self.instance_loss(output.instance_logits, instance_target)}
        if target is None:
            return {}
        n = len(output.instance_logits)
        shared = (
            target.reshape(1, -1).expand(n, -1) if self.sigmoids else target.reshape(()).expand(n)
        )
        return {"instances": self.instance_loss(output.instance_logits, shared)}
