"""OpenAI's API and nothing else: the loop of an agent, with `holster` as a command."""

import json
import subprocess
import sys

from openai import OpenAI


def holster(*words):
    return subprocess.run(["holster", *words], stdout=subprocess.PIPE, text=True).stdout


client = OpenAI()
tools = json.loads(holster("tools", "--format", "openai"))
said = [{"role": "user", "content": sys.argv[1]}]
while True:
    response = client.responses.create(model="gpt-5", tools=tools, input=said)
    said += response.output
    calls = [item for item in response.output if item.type == "function_call"]
    if not calls:
        break
    for call in calls:
        # What it prints says how the call ended, and if a person has to act, where.
        result = holster("--json", "call", call.name, call.arguments)
        said.append({"type": "function_call_output", "call_id": call.call_id, "output": result})
print(response.output_text)
