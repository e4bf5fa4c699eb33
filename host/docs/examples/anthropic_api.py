"""Anthropic's API and nothing else: the loop of an agent, with `holster` as a command."""

import json
import subprocess
import sys

from anthropic import Anthropic


def holster(*words):
    return subprocess.run(["holster", *words], stdout=subprocess.PIPE, text=True).stdout


client = Anthropic()
tools = json.loads(holster("tools", "--format", "anthropic"))
said = [{"role": "user", "content": sys.argv[1]}]
while True:
    message = client.messages.create(model="claude-sonnet-4-5", max_tokens=4096, tools=tools, messages=said)
    said.append({"role": "assistant", "content": message.content})
    calls = [block for block in message.content if block.type == "tool_use"]
    if not calls:
        break
    results = []
    for call in calls:
        # What it prints says how the call ended, and if a person has to act, where.
        result = holster("--json", "call", call.name, json.dumps(call.input))
        results.append({"type": "tool_result", "tool_use_id": call.id, "content": result})
    said.append({"role": "user", "content": results})
print("".join(block.text for block in message.content if block.type == "text"))
