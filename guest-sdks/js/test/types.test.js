import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { package_, put, readmeBlock } from './sources.js';

/** @param {string} program @param {string[]} arguments_ */
function run(program, ...arguments_) {
  const path = fileURLToPath(new URL(`node_modules/.bin/${program}`, package_));
  const { status, stdout, stderr } = spawnSync(path, arguments_, { encoding: 'utf8', cwd: fileURLToPath(package_) });
  assert.equal(status, 0, stdout + stderr);
}

test('this package agrees with the types that its declarations and the contract promise', () => {
  run('jco', 'guest-types', '../../wit', '-n', 'plugin', '-o', 'types', '--quiet');
  run('tsc', '--project', 'tsconfig.json');
});

test('the arguments and results of tools are typed: those of the README, of the examples, and those made to be wrong', async () => {
  await put('readme-types.ts', await readmeBlock('ts', '// src/tool.ts'));
  run('tsc', '--project', 'test/types/tsconfig.json');
});
