"""What a tool tells of its progress while it asks a server many times."""

from mcp.server.mcpserver import Context

from owlmetry_mcp.backends.base import Progress


def progress(ctx: Context) -> Progress:
    """Notifications of what has been read so far, to a client that asked for them; others hear nothing."""
    steps = 0

    async def tell(message: str) -> None:
        nonlocal steps
        steps += 1
        await ctx.report_progress(steps, message=message)

    return tell
