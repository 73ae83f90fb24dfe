"""The report of a run: a versioned JSON document, and one HTML page that opens offline (`page.render`)."""

from edgebci.reporting.loading import load_report
from edgebci.reporting.schema import Report
from edgebci.reporting.sections import Traces

__all__ = ["Report", "Traces", "load_report"]
