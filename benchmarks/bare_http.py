"""A server of the SDK over stateless HTTP with one tool, which does nothing, and without keys."""

from argparse import ArgumentParser

import uvicorn
from mcp.server.mcpserver import MCPServer

from benchmarks.agents import NOTHING
from benchmarks.beside_nothing import nothing
from owlmetry_mcp.http.listener import listen


def main() -> None:
    parser = ArgumentParser(allow_abbrev=False)
    parser.add_argument("--port", type=int)
    listener = listen("127.0.0.1", parser.parse_args().port)
    server = MCPServer[object]("bare", log_level="ERROR")
    server.add_tool(nothing, NOTHING)
    print(f"Serving on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    app = server.streamable_http_app(stateless_http=True)
    uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False)).run(sockets=[listener])


if __name__ == "__main__":
    main()
