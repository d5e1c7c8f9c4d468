"""Remembers the memory estimates of one model: many profiles ask for the same one."""

from profiles.memory import EngineOptions, Estimate, ModelFacts, estimate


class Planner:
    """One model's estimates, each made once."""

    def __init__(self, model: ModelFacts) -> None:
        self.model = model
        self._known: dict[EngineOptions, Estimate] = {}

    def estimate(self, options: EngineOptions) -> Estimate:
        """Memory per GPU with these options."""
        if options not in self._known:
            self._known[options] = estimate(self.model, options)
        return self._known[options]
