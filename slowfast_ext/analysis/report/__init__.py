"""What runs have left in their folders, as one HTML page: `build_report(folders)`."""

from slowfast_ext.analysis.report.build import ReportOptions, build_report

__all__ = ["ReportOptions", "build_report"]
