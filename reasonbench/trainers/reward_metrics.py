"""How well scores tell right from wrong."""

from __future__ import annotations

from reasonbench.metrics.calibration import auc

__all__ = ["auc"]
