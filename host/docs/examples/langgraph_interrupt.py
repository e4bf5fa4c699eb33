"""LangGraph: a graph that stops where a person has to connect an account, and goes on when they have."""

import asyncio
import sys

from langchain.chat_models import init_chat_model
from langchain_mcp_adapters.client import MultiServerMCPClient
from langchain_mcp_adapters.tools import load_mcp_tools
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import Command, interrupt

SERVERS = {"holster": {"transport": "stdio", "command": "holster", "args": ["mcp"]}}


async def connect_first(request, call):
    """Interrupts the graph until everything is connected that the call needs."""
    result = await call(request)
    while missing := (result.meta or {}).get("holster/interrupt"):
        interrupt(missing)
        result = await call(request)
    return result


def graph(tools):
    model = init_chat_model("openai:gpt-5").bind_tools(tools)

    async def ask(state):
        return {"messages": [await model.ainvoke(state["messages"])]}

    builder = StateGraph(MessagesState)
    builder.add_node("model", ask)
    builder.add_node("tools", ToolNode(tools))
    builder.add_edge(START, "model")
    builder.add_conditional_edges("model", tools_condition)
    builder.add_edge("tools", "model")
    # The graph of a server keeps its state in a database, and goes on in another process, days later.
    return builder.compile(checkpointer=InMemorySaver())


async def main(question):
    async with MultiServerMCPClient(SERVERS).session("holster") as session:
        agent = graph(await load_mcp_tools(session, tool_interceptors=[connect_first]))
        thread = {"configurable": {"thread_id": "1"}}
        state = await agent.ainvoke({"messages": [("user", question)]}, thread)
        while interrupts := state.get("__interrupt__"):
            for missing in interrupts[0].value:
                print(f"Connect {missing['provider']}: {missing['url']}", flush=True)
            await asyncio.to_thread(input, "Press Enter when it is connected.\n")
            state = await agent.ainvoke(Command(resume=True), thread)
        print(state["messages"][-1].text)


asyncio.run(main(sys.argv[1]))
