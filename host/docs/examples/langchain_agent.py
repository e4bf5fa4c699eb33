"""LangChain: an agent with the tools of `holster mcp`."""

import asyncio
import sys

from langchain.agents import create_agent
from langchain_mcp_adapters.client import MultiServerMCPClient
from langchain_mcp_adapters.tools import load_mcp_tools

SERVERS = {"holster": {"transport": "stdio", "command": "holster", "args": ["mcp"]}}


async def main(question):
    async with MultiServerMCPClient(SERVERS).session("holster") as session:
        agent = create_agent("openai:gpt-5", await load_mcp_tools(session))
        state = await agent.ainvoke({"messages": [("user", question)]})
        print(state["messages"][-1].text)


asyncio.run(main(sys.argv[1]))
