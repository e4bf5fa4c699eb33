import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { bundle } from '../build/build.js';
import { splicer } from '../build/bindings.js';
import { contractFolder } from '../build/contract.js';
import { built, package_, put, readmeBlock } from './sources.js';

/** @param {string[]} arguments_ */
function holsterSdk(...arguments_) {
  const cli = fileURLToPath(new URL('build/cli.js', package_));
  return spawnSync(process.execPath, [cli, ...arguments_], { encoding: 'utf8', cwd: fileURLToPath(built) });
}

test('the example of the README becomes a component', async () => {
  await put('readme.ts', await readmeBlock('ts', '// src/tool.ts'));
  const out = fileURLToPath(new URL('out/readme.wasm', built));
  rmSync(out, { force: true });
  const { status, stdout, stderr } = holsterSdk('build', 'readme.ts', '-o', 'out/readme.wasm');
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^out\/readme\.wasm: 1\d\.\d MiB, in [\d.]+ s\n$/);
  const component = readFileSync(out);
  // The preamble of a component (layer 1), not of a core module (layer 0).
  assert.deepEqual([...component.subarray(0, 8)], [0x00, 0x61, 0x73, 0x6d, 0x0d, 0x00, 0x01, 0x00]);
  assert(component.includes('holster:plugin/tool@0.1.0'));
});

test('a component carries the schema builders that it needs, not the whole of typebox', async () => {
  const module = await put('small.ts', await readmeBlock('ts', '// src/tool.ts'));
  const source = await bundle(module);
  assert(source.length < 60_000, `${source.length} characters`);
});

for (const [file, contents, message] of /** @type {[string, string, RegExp][]} */ ([
  ['node.js', 'import fs from "node:fs"; export default fs;', /a component has no Node\.js, and so no `node:fs`/],
  ['node-bare.js', 'import fs from "fs"; export default fs;', /a component has no Node\.js, and so no `fs`/],
  ['no-default.js', 'export const tool = 1;', /no-default\.js` has no default export; write `export default tool\(/],
  ['syntax.ts', 'export default {;', /the module cannot be bundled\n\n.*Expected identifier/s],
  ['missing.ts', 'import x from "./nowhere.js"; export default x;', /Could not resolve "\.\/nowhere\.js"/],
])) {
  test(`a module is refused: ${message.source}`, async () => {
    const { status, stderr } = holsterSdk('build', await put(file, contents), '-o', 'refused.wasm');
    assert.match(stderr, message);
    assert.equal(status, 1);
    assert(!existsSync(new URL('refused.wasm', built)));
  });
}

test('what a declaration does wrong is said by the build, with its place', async () => {
  const source = 'import { tool } from "holster-sdk"; export default tool({ name: "a b", description: "x", run() {} });';
  const { status, stderr } = holsterSdk('build', await put('bad-name.js', source), '-o', 'refused.wasm');
  assert.match(stderr, /^error: the module fails when it is loaded: TypeError: `a b` is no name for a tool; .*\n {2}tool@/);
  assert.equal(status, 1);
});

test('a module that asks the host at its top is told to ask later', async () => {
  const source = 'import { tool } from "holster-sdk"; Math.random(); export default [];';
  const { status, stderr } = holsterSdk('build', await put('too-early.js', source), '-o', 'refused.wasm');
  assert.match(stderr, /^error: the module asks the host for something \(`wasi:random\/.*`\) while it is built/);
  assert.equal(status, 1);
});

for (const [arguments_, message] of /** @type {[string[], RegExp][]} */ ([
  [[], /^Say what to do/],
  [['make'], /^There is no command `make`; there is `build`\./],
  [['build'], /^Name one module to build/],
  [['build', 'tool.ts'], /^Say where to write the component/],
  [['build', 'tool.ts', '--name', 'x'], /^Unknown option '--name'/],
])) {
  test(`a command line is refused: ${arguments_.join(' ') || 'an empty one'}`, () => {
    const { status, stderr } = holsterSdk(...arguments_);
    assert.match(stderr, message);
    assert.match(stderr, /Usage: holster-sdk build MODULE/);
    assert.equal(status, 2);
  });
}

test('a file that is not there is named', () => {
  const { status, stderr } = holsterSdk('build', 'nowhere.ts', '-o', 'refused.wasm');
  assert.match(stderr, /^error: there is no file `nowhere\.ts`/);
  assert.equal(status, 1);
});

test('the bindings encode a text at once, in place of looking at each of its characters, and can be rehearsed', () => {
  const componentizeJs = import.meta.resolve('@bytecodealliance/componentize-js');
  const engine = readFileSync(new URL('../lib/starlingmonkey_embedding.wasm', componentizeJs));
  const { jsBindings } = splicer.spliceBindings(engine, ['stdio'], undefined, contractFolder(), 'plugin', false);
  assert(jsBindings.includes('const { read } = TEXT_ENCODER_UTF8.encodeInto(s,'));
  assert(!jsBindings.includes('charCodeAt'));
  assert(jsBindings.includes('async function rehearse('));
});

test('in the checkout, the contract is the one at its root', () => {
  assert.equal(contractFolder(), fileURLToPath(new URL('../../wit', package_)));
});
