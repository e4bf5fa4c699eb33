"""A model that follows a script, at the loopback interface.

It answers as the APIs of OpenAI (Chat Completions and Responses), Anthropic and Gemini do, so that every framework talks
to it through the client that it talks to the real one with. The script is always the same: ask for one tool call, then
say what came back. What the model was sent is kept, for a test to look at.
"""

import json
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@dataclass
class Turn:
    """What one request told the model."""

    #: The schema of each tool's arguments, by the tool's name.
    tools: dict
    #: What the calls so far came back with.
    results: list


@dataclass
class ScriptedModel:
    """Asks for ``tool`` with ``arguments``, then repeats the result."""

    tool: str
    arguments: dict
    turns: list = field(default_factory=list)

    def __enter__(self):
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler(self))
        self._server.daemon_threads = True
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_port}"

    def environment(self):
        """Where the clients of the model APIs look for their address and key."""
        return {
            "OPENAI_BASE_URL": f"{self.url}/v1",
            "OPENAI_API_BASE": f"{self.url}/v1",
            "OPENAI_API_KEY": "scripted",
            "ANTHROPIC_BASE_URL": self.url,
            "ANTHROPIC_API_KEY": "scripted",
            "GOOGLE_GEMINI_BASE_URL": self.url,
            "GEMINI_API_KEY": "scripted",
        }

    def answer(self, path, request):
        """The answer in the API's own form, or none where there is no such API."""
        api = next((api for part, api in APIS if part in path), None)
        if api is None:
            return None
        turn = Turn(api.tools(request), api.results(request))
        self.turns.append(turn)
        if not turn.results:
            # A framework may put something before or behind the names of the tools.
            name = next(name for name in turn.tools if self.tool in name)
            # Where all arguments are required, those that are left out are null.
            required = turn.tools[name].get("required", [])
            return api.call(name, dict.fromkeys(required) | self.arguments)
        return api.say(f"The tool says: {turn.results[-1]}")


class ChatCompletions:
    """OpenAI's Chat Completions."""

    def tools(request):
        functions = [tool["function"] for tool in request.get("tools", [])]
        return {function["name"]: function["parameters"] for function in functions}

    def results(request):
        return [text(message["content"]) for message in request["messages"] if message["role"] == "tool"]

    def call(name, arguments):
        function = {"name": name, "arguments": json.dumps(arguments)}
        call = {"id": "call_1", "type": "function", "function": function}
        return ChatCompletions._choice({"content": None, "tool_calls": [call]}, "tool_calls")

    def say(words):
        return ChatCompletions._choice({"content": words}, "stop")

    def _choice(message, why):
        choice = {"index": 0, "finish_reason": why, "message": {"role": "assistant", **message}}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        about = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "scripted"}
        return {**about, "choices": [choice], "usage": usage}


class Responses:
    """OpenAI's Responses."""

    def tools(request):
        return {tool["name"]: tool["parameters"] for tool in request.get("tools", [])}

    def results(request):
        items = [item for item in request["input"] if isinstance(item, dict)]
        return [text(item["output"]) for item in items if item.get("type") == "function_call_output"]

    def call(name, arguments):
        call = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "status": "completed"}
        return Responses._output({**call, "name": name, "arguments": json.dumps(arguments)})

    def say(words):
        content = [{"type": "output_text", "text": words, "annotations": []}]
        message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
        return Responses._output({**message, "content": content})

    def _output(item):
        about = {"id": "resp_1", "object": "response", "created_at": 1, "model": "scripted", "status": "completed"}
        settings = {"parallel_tool_calls": False, "tool_choice": "auto", "tools": []}
        usage = {
            "input_tokens": 1,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 1,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 2,
        }
        return {**about, **settings, "output": [item], "usage": usage}


class Messages:
    """Anthropic's Messages."""

    def tools(request):
        return {tool["name"]: tool["input_schema"] for tool in request.get("tools", [])}

    def results(request):
        blocks = [block for message in request["messages"] if isinstance(message["content"], list) for block in message["content"]]
        return [text(block["content"]) for block in blocks if block["type"] == "tool_result"]

    def call(name, arguments):
        return Messages._message({"type": "tool_use", "id": "toolu_1", "name": name, "input": arguments}, "tool_use")

    def say(words):
        return Messages._message({"type": "text", "text": words}, "end_turn")

    def _message(block, why):
        about = {"id": "msg_1", "type": "message", "role": "assistant", "model": "scripted"}
        return {**about, "content": [block], "stop_reason": why, "usage": {"input_tokens": 1, "output_tokens": 1}}


class GenerateContent:
    """Gemini's generateContent."""

    def tools(request):
        functions = [function for tool in request.get("tools", []) for function in tool["functionDeclarations"]]
        # Google's package writes the key as its Python does, and Google's servers read both.
        schemas = [function["parameters_json_schema"] for function in functions]
        return {function["name"]: schema for function, schema in zip(functions, schemas)}

    def results(request):
        parts = [part for content in request["contents"] for part in content["parts"]]
        return [json.dumps(part["functionResponse"]["response"]) for part in parts if "functionResponse" in part]

    def call(name, arguments):
        return GenerateContent._candidate({"functionCall": {"name": name, "args": arguments}})

    def say(words):
        return GenerateContent._candidate({"text": words})

    def _candidate(part):
        content = {"role": "model", "parts": [part]}
        return {"candidates": [{"index": 0, "finishReason": "STOP", "content": content}], "modelVersion": "scripted"}


#: By what is particular to the path of each.
APIS = [
    ("/chat/completions", ChatCompletions),
    ("/responses", Responses),
    ("/messages", Messages),
    (":generateContent", GenerateContent),
]


def text(content):
    """Content that is a text, or a list of blocks with texts."""
    if isinstance(content, str):
        return content
    return "".join(block.get("text", "") for block in content)


def handler(model):
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            request = json.loads(self.rfile.read(int(self.headers["content-length"])))
            answer = model.answer(self.path, request)
            body = json.dumps(answer).encode()
            self.send_response(404 if answer is None else 200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    return Handler
