#!/usr/bin/env node
// `holster-sdk build MODULE -o COMPONENT`: the command line of `build.js`.

import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const USAGE = `Usage: holster-sdk build MODULE -o COMPONENT

Builds a component from a module whose default export is a tool, or a list of tools.

  MODULE               the source file, in TypeScript or JavaScript
  -o, --out COMPONENT  the component to write, such as dist/my-tool.wasm
  -h, --help           print this`;

/** @param {string} why @returns {never} */
function misused(why) {
  console.error(`${why}\n\n${USAGE}`);
  process.exit(2);
}

/** @returns {ReturnType<typeof parse>} */
function parsed() {
  try {
    return parse();
  } catch (error) {
    return misused(/** @type {Error} */ (error).message);
  }
}

function parse() {
  return parseArgs({
    allowPositionals: true,
    options: { out: { type: 'string', short: 'o' }, help: { type: 'boolean', short: 'h' } },
  });
}

const { values, positionals } = parsed();
const [command, module, ...rest] = positionals;
if (values.help) {
  console.log(USAGE);
} else if (command !== 'build') {
  misused(command ? `There is no command \`${command}\`; there is \`build\`.` : 'Say what to do: there is `build`.');
} else if (!module || rest.length > 0) {
  misused('Name one module to build.');
} else if (!values.out) {
  misused('Say where to write the component: `-o dist/my-tool.wasm`.');
} else {
  await report(module, values.out);
}

/** @param {string} module @param {string} out */
async function report(module, out) {
  const { BuildError, build } = await builder();
  const start = performance.now();
  try {
    const { bytes } = await build(module, out);
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    console.log(`${out}: ${(bytes / 2 ** 20).toFixed(1)} MiB, in ${seconds} s`);
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    console.error(`error: ${error.message}`);
    process.exitCode = 1;
  }
}

async function builder() {
  try {
    return await import('./build.js');
  } catch (error) {
    if (/** @type {any} */ (error).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    const folder = fileURLToPath(new URL('..', import.meta.url));
    console.error(`error: the packages that holster-sdk needs are not installed; run \`npm ci\` in ${folder}`);
    process.exit(1);
  }
}
