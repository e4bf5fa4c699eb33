"""Gemini's API and nothing else: the loop of an agent, with `holster` as a command."""

import json
import subprocess
import sys

from google import genai
from google.genai.types import GenerateContentConfig, Part, UserContent


def holster(*words):
    return subprocess.run(["holster", *words], stdout=subprocess.PIPE, text=True).stdout


client = genai.Client()
config = GenerateContentConfig(tools=json.loads(holster("tools", "--format", "gemini")))
said = [UserContent(sys.argv[1])]
while True:
    response = client.models.generate_content(model="gemini-2.5-flash", contents=said, config=config)
    said.append(response.candidates[0].content)
    if not response.function_calls:
        break
    results = []
    for call in response.function_calls:
        # What it prints says how the call ended, and if a person has to act, where.
        result = json.loads(holster("--json", "call", call.name, json.dumps(call.args)))
        results.append(Part.from_function_response(name=call.name, response=result))
    said.append(UserContent(results))
print(response.text)
