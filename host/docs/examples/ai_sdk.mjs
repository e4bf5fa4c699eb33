// Vercel's AI SDK: a model with the tools of `holster mcp`.

import { createMCPClient } from "@ai-sdk/mcp";
import { StdioMCPTransport } from "@ai-sdk/mcp/mcp-stdio";
import { openai } from "@ai-sdk/openai";
import { generateText, stepCountIs } from "ai";

const holster = await createMCPClient({
  transport: new StdioMCPTransport({ command: "holster", args: ["mcp"] }),
});
try {
  const { text } = await generateText({
    model: openai("gpt-5"),
    tools: await holster.tools(),
    stopWhen: stepCountIs(8),
    prompt: process.argv[2],
  });
  console.log(text);
} finally {
  await holster.close();
}
