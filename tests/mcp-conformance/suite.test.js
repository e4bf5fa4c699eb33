// The official conformance suite of MCP, as any server has to pass it, against `holster serve`.
//
// Every scenario of the suite is named here: those that have to pass, and those that are left out, each with its reason.
// One that a newer version of the suite brings fails this until somebody has decided.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const PASS = [
  'server-initialize',
  'ping',
  'dns-rebinding-protection',
  'tools-list',
  'tools-call-simple-text',
  'tools-call-image',
  'tools-call-audio',
  'tools-call-embedded-resource',
  'tools-call-mixed-content',
  'tools-call-error',
  'tools-call-with-logging',
  'tools-call-with-progress',
  'tools-call-elicitation',
  'elicitation-sep1034-defaults',
  'elicitation-sep1330-enums',
  'json-schema-2020-12',
  'logging-set-level',
  'server-sse-multiple-streams',
];

const NO_SAMPLING = "a tool does not speak to the client's model: nobody could say what it may tell it";
const NO_RESOURCES = 'Holster serves tools, and no resources of its own';
const NO_PROMPTS = 'Holster serves tools, and no prompts';
const LEFT_OUT = {
  'tools-call-sampling': NO_SAMPLING,
  'completion-complete': NO_PROMPTS,
  'prompts-list': NO_PROMPTS,
  'prompts-get-simple': NO_PROMPTS,
  'prompts-get-with-args': NO_PROMPTS,
  'prompts-get-embedded-resource': NO_PROMPTS,
  'prompts-get-with-image': NO_PROMPTS,
  'resources-list': NO_RESOURCES,
  'resources-read-text': NO_RESOURCES,
  'resources-read-binary': NO_RESOURCES,
  'resources-templates-read': NO_RESOURCES,
  'resources-subscribe': NO_RESOURCES,
  'resources-unsubscribe': NO_RESOURCES,
  'server-sse-polling': 'a stream is not closed in the midst of a call; nothing in the protocol asks for that',
};

/** The suite wants Node.js 22, which comes along; the one that runs this may be older. */
const bundled = fileURLToPath(
  new URL(`node_modules/node-${process.platform}-${process.arch}/bin/node`, import.meta.url),
);
const node = existsSync(bundled) ? bundled : process.execPath;
const suite = fileURLToPath(new URL('node_modules/@modelcontextprotocol/conformance/dist/index.js', import.meta.url));

/** @param {string[]} given */
function conformance(...given) {
  const { status, stdout, stderr } = spawnSync(node, [suite, ...given], { encoding: 'utf8', timeout: 60_000 });
  return { status, said: `${stdout}${stderr}` };
}

let home;
let server;
let url;

before(async () => {
  home = await mkdtemp(join(tmpdir(), 'holster-conformance-'));
  const plugins = join(home, 'plugins');
  await mkdir(plugins);
  await cp(join(process.env.HOLSTER_GUESTS, 'mcp-conformance.wasm'), join(plugins, 'mcp-conformance.wasm'));
  const config = join(home, 'holster.toml');
  await writeFile(config, `plugins = 'plugins'\ndata = 'data'\ncache.directory = 'code'\n`);
  server = spawn(process.env.HOLSTER, ['--config', config, '--json', 'serve', '--listen', '127.0.0.1:0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await once(createInterface(server.stdout), 'line');
  const port = new URL(JSON.parse(line).url).port;
  url = `http://localhost:${port}/mcp`;
});

after(async () => {
  server?.kill();
  await rm(home, { recursive: true, force: true });
});

test('every scenario of the suite is decided on', () => {
  const { said } = conformance('list', '--server');
  const listed = [...said.matchAll(/^ +- (\S+)/gm)].map(([, name]) => name);
  assert.deepEqual(listed.toSorted(), [...PASS, ...Object.keys(LEFT_OUT)].sort());
});

for (const scenario of PASS) {
  test(scenario, () => {
    const { status, said } = conformance('server', '--url', url, '--scenario', scenario);
    assert.equal(status, 0, said);
    assert.match(said, /\b[1-9]\d*\/\d+ passed|\bPassed: [1-9]/, said);
  });
}
