"""Every framework in the documentation, by its own package and with the real ``holster mcp``.

What runs is the example of the documentation, as a program of its own in the framework's own environment.
"""

import json

import pytest

from installation import connect, ended, page_in, variable
from scripted_model import ScriptedModel

STATISTICS = ("text_statistics", {"text": "Tools that nobody has to trust."})
ISSUES = ("github_issues", {"owner": "harbour", "repo": "pilot"})
FIRST_ISSUE = "The tide table is an hour late"
TOKEN = "work-github-token"

#: Each example, and the environment that it runs in.
EXAMPLES = {
    "langchain_agent.py": "langchain",
    "langgraph_interrupt.py": "langchain",
    "openai_agents.py": "openai",
    "openai_api.py": "openai",
    "anthropic_api.py": "openai",
    "gemini_api.py": "openai",
    "llama_index_agent.py": "llama-index",
    "crewai_crew.py": "crewai",
    "ai_sdk.mjs": "node",
    "mcp_sdk.mjs": "node",
}

#: Keywords of an argument's schema that frameworks keep from the model, some by rewriting them. The host goes by them.
LOST = {
    "llama_index_agent.py": {"minimum", "maximum"},
    "crewai_crew.py": {"minimum", "maximum", "default", "type", "enum"},
}

#: Those that ask the person themselves and then go on. The others hand on what the model says to the person.
ASKING = ["langgraph_interrupt.py", "mcp_sdk.mjs"]
TELLING = [name for name in EXAMPLES if name not in ASKING]


def interpreter(example):
    environment = EXAMPLES[example]
    if environment == "node":
        return "node"
    return str(variable("HOLSTER_FRAMEWORKS") / environment / "bin/python")


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_model_is_told_of_the_tools_and_of_what_a_call_came_back_with(installation, example):
    with ScriptedModel(*STATISTICS) as model:
        said = installation.example(example, interpreter(example), "How many words?", model)
    first, last = model.turns
    for name, schema in installation.tools().items():
        listed = next(listed for tool, listed in first.tools.items() if name in tool)
        assert_same_arguments(listed, schema, LOST.get(example, set()))
    assert '"words":6' in last.results[-1].replace(" ", "")
    assert last.results[-1] in said


@pytest.mark.parametrize("example", TELLING)
def test_the_model_is_told_where_a_person_connects_what_is_missing(installation, example):
    with ScriptedModel(*ISSUES) as model:
        said = installation.example(example, interpreter(example), "Which issues?", model)
        page = page_in(model.turns[-1].results[-1])
        assert page in said

        connect(page, TOKEN)
        said = installation.example(example, interpreter(example), "Which issues?", model)
    assert FIRST_ISSUE in model.turns[-1].results[-1]
    assert FIRST_ISSUE in said
    assert TOKEN not in json.dumps([turn.results for turn in model.turns])


@pytest.mark.parametrize("example", ASKING)
def test_a_call_stops_for_a_person_and_goes_on_without_the_model_hearing_of_it(installation, example):
    command = installation.command(example, interpreter(example), "Which issues?")
    with ScriptedModel(*ISSUES) as model, installation.start(command, model.environment()) as process:
        asked = next(line for line in process.stdout if "/connect/" in line)
        assert len(model.turns) == 1
        connect(page_in(asked), TOKEN)
        said = ended(process, "\n")
    assert [bool(turn.results) for turn in model.turns] == [False, True]
    assert FIRST_ISSUE in model.turns[-1].results[-1]
    assert FIRST_ISSUE in said


def assert_same_arguments(listed, schema, lost):
    assert listed["properties"].keys() == schema["properties"].keys()
    assert set(schema.get("required", [])) <= set(listed.get("required", []))
    for name, argument in schema["properties"].items():
        shown = listed["properties"][name]
        # A framework may say in the description what it loses.
        assert shown["description"].startswith(argument["description"]), shown
        for keyword in argument.keys() - lost - {"description"}:
            assert shown.get(keyword) == argument[keyword], (keyword, shown)
