"""Issue triage for coding agents: an MCP server over Owlmetry's issues."""

__version__ = "0.1.0"
