"""An MCP server for coding agents: https://modelcontextprotocol.io. Extra ``mcp``; the official SDK."""
