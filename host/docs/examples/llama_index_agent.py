"""LlamaIndex: an agent with the tools of `holster mcp`."""

import asyncio
import sys

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.llms.openai import OpenAI
from llama_index.tools.mcp import BasicMCPClient, McpToolSpec


async def main(question):
    holster = BasicMCPClient("holster", args=["mcp"])
    tools = await McpToolSpec(client=holster).to_tool_list_async()
    agent = FunctionAgent(tools=tools, llm=OpenAI(model="gpt-5"), streaming=False)
    print(await agent.run(question))


asyncio.run(main(sys.argv[1]))
