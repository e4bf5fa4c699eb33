"""OpenAI Agents SDK: an agent with the tools of `holster mcp`."""

import asyncio
import sys

from agents import Agent, Runner
from agents.mcp import MCPServerStdio


async def main(question):
    async with MCPServerStdio({"command": "holster", "args": ["mcp"]}, cache_tools_list=True) as holster:
        agent = Agent(name="Assistant", model="gpt-5", mcp_servers=[holster])
        result = await Runner.run(agent, question)
        print(result.final_output)


asyncio.run(main(sys.argv[1]))
