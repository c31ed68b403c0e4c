"""Who tells us about the host: one file per origin, each with the one small interface of `_source`."""

from trimif._sources._source import Observer, Report, Source, SourceStatistics

__all__ = ["Observer", "Report", "Source", "SourceStatistics"]
