"""Where a search gets its values from. A new evaluator is one module with what `Evaluator` asks for."""

from __future__ import annotations

from crlso.evaluators.base import Evaluator
from crlso.evaluators.table import TableEvaluator

__all__ = ["Evaluator", "TableEvaluator"]
