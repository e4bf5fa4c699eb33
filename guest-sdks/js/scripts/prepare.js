// Installs the packages that this one depends on, where a tool in the same checkout links to it: npm links a folder,
// and runs this script, but does not install what the folder needs.

import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('..', import.meta.url));
const age = (/** @type {string} */ file) => statSync(folder + file, { throwIfNoEntry: false })?.mtimeMs ?? 0;

const isInstalled = age('node_modules/.package-lock.json') >= age('package-lock.json');
const isInCheckout = age('package-lock.json') > 0;
if (isInCheckout && !isInstalled) {
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const arguments_ = ['ci', '--ignore-scripts', '--no-audit', '--no-fund'];
  const { status, error } = spawnSync(npm, arguments_, { cwd: folder, stdio: 'inherit' });
  if (error) throw error;
  process.exitCode = status ?? 1;
}
