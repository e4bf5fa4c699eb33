"""CrewAI: a crew of one with the tools of `holster mcp`."""

import sys

from crewai import Agent, Crew, Task
from crewai.mcp import MCPServerStdio

assistant = Agent(
    role="Assistant",
    goal="Answer questions",
    backstory="You have the tools that your user has.",
    llm="openai/gpt-5",
    mcps=[MCPServerStdio(command="holster", args=["mcp"])],
)
task = Task(description=sys.argv[1], expected_output="An answer", agent=assistant)
print(Crew(agents=[assistant], tasks=[task]).kickoff())
