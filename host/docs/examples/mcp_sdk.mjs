// The MCP SDK for TypeScript and OpenAI's API: the loop of an agent that shows its user where to connect an account, and
// whose call goes on when they have.

import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import OpenAI from "openai";

const holster = new Client(
  { name: "example", version: "1.0.0" },
  { capabilities: { elicitation: { url: {} } }, versionNegotiation: { mode: "auto" } },
);
holster.setRequestHandler("elicitation/create", async ({ params }) => {
  console.log(`${params.message}\n${params.url}`);
  return { action: "accept" };
});
await holster.connect(new StdioClientTransport({ command: "holster", args: ["mcp"] }));

const openai = new OpenAI();
const tools = (await holster.listTools()).tools.map((tool) => ({
  type: "function",
  name: tool.name,
  description: tool.description,
  parameters: tool.inputSchema,
  strict: false,
}));
const input = [{ role: "user", content: process.argv[2] }];
try {
  for (;;) {
    const response = await openai.responses.create({ model: "gpt-5", tools, input });
    input.push(...response.output);
    const calls = response.output.filter((item) => item.type === "function_call");
    if (calls.length === 0) {
      console.log(response.output_text);
      break;
    }
    for (const call of calls) {
      const { content } = await holster.callTool({ name: call.name, arguments: JSON.parse(call.arguments) });
      const output = content.map((block) => block.text ?? "").join("\n");
      input.push({ type: "function_call_output", call_id: call.call_id, output });
    }
  }
} finally {
  await holster.close();
}
