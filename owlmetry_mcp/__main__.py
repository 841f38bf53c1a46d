import sys

from owlmetry_mcp.cli.main import main

sys.exit(main())
