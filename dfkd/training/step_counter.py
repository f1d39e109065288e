"""Progress within a round, for rounds that take minutes."""

from collections.abc import Callable

from dfkd.composition import Composition

Progress = Callable[[str, float, int], None]
"""Called with "warm-up" or "adversarial", the rounds of it that are done, and their total."""


class StepCounter:
    """Reports progress at the start of a round and after each step of generator or student.

    Args:
        recipe: The recipe, which has the number of steps in a round.
        report: Receives the progress. A half-finished third round counts as 2.5 rounds.
    """

    def __init__(self, recipe: Composition, report: Progress) -> None:
        self._recipe, self._report = recipe, report
        self._warm, self._number, self._total = False, 0, 0
        self._step, self._steps = 0, 1

    def begin(self, warm: bool, number: int, total: int) -> None:
        """Start a round.

        Args:
            warm: Whether it is a warm-up round.
            number: Rounds of the phase before this one.
            total: Rounds of the phase.
        """
        schedule, per_batch = self._recipe.schedule, self._recipe.synthesizer.steps
        self._warm, self._number, self._total = warm, number, total
        learned = schedule.generator_steps * per_batch + schedule.student_steps
        self._step, self._steps = 0, per_batch if warm else learned
        self._show()

    def after_step(self) -> None:
        """Count a step."""
        self._step += 1
        # The last step does not end a round: memory and health checks follow.
        if self._step < self._steps:
            self._show()

    def _show(self) -> None:
        done = self._number + self._step / self._steps
        self._report("warm-up" if self._warm else "adversarial", done, self._total)
