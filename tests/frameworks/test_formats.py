"""What ``holster tools --format`` prints is what the APIs' own packages take."""

import json

import pytest

from installation import ended, variable

#: What reads `tools` with a type of the package, and notes in `seen` what that makes of them.
CHECKS = {
    "openai": """
from openai.types.responses import FunctionTool
for tool in tools:
    known = FunctionTool.model_validate(tool)
    seen[known.name] = known.parameters
    assert not known.model_extra, known.model_extra
""",
    "openai-chat": """
from openai.types.chat import ChatCompletionFunctionToolParam
from pydantic import TypeAdapter
for tool in tools:
    known = TypeAdapter(ChatCompletionFunctionToolParam).validate_python(tool, extra="forbid")["function"]
    seen[known["name"]] = known["parameters"]
""",
    "anthropic": """
from anthropic.types import ToolParam
from pydantic import TypeAdapter
for tool in tools:
    known = TypeAdapter(ToolParam).validate_python(tool, extra="forbid")
    seen[known["name"]] = known["input_schema"]
""",
    "gemini": """
from google.genai.types import Tool
for tool in tools:
    for known in Tool.model_validate(tool).function_declarations:
        seen[known.name] = known.parameters_json_schema
""",
}

FRAME = "import json, sys\ntools, seen = json.load(sys.stdin), {{}}\n{check}\nprint(json.dumps(seen))"


@pytest.mark.parametrize("format", CHECKS)
def test_the_package_of_the_api_knows_name_and_schema_of_each_tool(installation, format):
    printed = installation.run(["holster", "tools", "--format", format])
    python = str(variable("HOLSTER_FRAMEWORKS") / "openai/bin/python")
    with installation.start([python, "-c", FRAME.format(check=CHECKS[format])]) as process:
        seen = json.loads(ended(process, printed))
    assert seen == installation.tools()
