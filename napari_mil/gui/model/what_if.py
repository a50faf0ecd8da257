"""Instances that a person takes out of a bag, and what the answer is then."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

Removed = tuple[int, ...]
"""Indices of instances, ascending."""


@dataclass(frozen=True, eq=False)
class WhatIf:
    """Steps of taking instances out, which can be undone and redone."""

    steps: tuple[Removed, ...] = ((),)
    """What is out after each step; nothing at first."""
    at: int = 0
    """Step that is shown."""
    probabilities: np.ndarray | None = None
    """float32 (C,) without what is out; None while it is not known, or nothing is out."""

    @property
    def removed(self) -> Removed:
        """What is out now."""
        return self.steps[self.at]

    @property
    def can_undo(self) -> bool:
        """Whether there is a step before."""
        return self.at > 0

    @property
    def can_redo(self) -> bool:
        """Whether a step was undone."""
        return self.at + 1 < len(self.steps)

    def drop(self, instances: tuple[int, ...], n: int) -> WhatIf:
        """Take more instances out of a bag of n; the last one stays."""
        return self._with(tuple(sorted({*self.removed, *instances})), n)

    def keep_only(self, instances: tuple[int, ...], n: int) -> WhatIf:
        """Take everything else out of a bag of n."""
        kept = set(instances)
        return self._with(tuple(i for i in range(n) if i not in kept), n)

    def undo(self) -> WhatIf:
        """Go back by a step."""
        return replace(self, at=self.at - 1, probabilities=None) if self.can_undo else self

    def redo(self) -> WhatIf:
        """Repeat the step that was undone."""
        return replace(self, at=self.at + 1, probabilities=None) if self.can_redo else self

    def _with(self, removed: Removed, n: int) -> WhatIf:
        if removed == self.removed or len(removed) >= n:
            return self
        return WhatIf((*self.steps[: self.at + 1], removed), self.at + 1)
