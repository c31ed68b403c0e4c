"""Who tells us about the host: one file per origin, each with the one small interface of `_source`."""

from trimif._sources._source import Report, Solicitor, Source, SourceStatistics

__all__ = ["Report", "Solicitor", "Source", "SourceStatistics"]
