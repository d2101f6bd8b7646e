"""The flow: options, sources, the pipeline on one page, sinks, and the command line."""

__version__ = "0.1.0"
