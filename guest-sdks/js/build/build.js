// From an author's module to a component: bundle it with the glue, then put the bundle into a JavaScript engine.
//
// The bundle runs once while the component is built, and the component starts from the memory that this left. So what
// a module does at its top costs nothing at a call, and sees no host.

import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises';
import { builtinModules } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { componentize } from '@bytecodealliance/componentize-js';
import esbuild from 'esbuild';
import { REHEARSING } from './bindings.js';
import { contractFolder } from './contract.js';

const GLUE = fileURLToPath(new URL('../src/component.js', import.meta.url));
const REHEARSAL = fileURLToPath(new URL('../src/rehearsal.js', import.meta.url));

const ENTRY = 'the component itself';

/** A build that failed for a reason that its author can mend. */
export class BuildError extends Error {}

/**
 * Builds `module` into the component `out`.
 *
 * @param {string} module
 * @param {string} out
 * @returns {Promise<{ bytes: number }>}
 */
export async function build(module, out) {
  const source = await bundle(module);
  const component = await engineWith(source);
  await writeWhole(out, component);
  return { bytes: component.length };
}

/**
 * One self-contained module that exports `tool` as the contract has it.
 *
 * @param {string} module
 * @returns {Promise<string>}
 */
export async function bundle(module) {
  const path = resolve(module);
  if (!(await stat(path).catch(() => undefined))?.isFile()) throw new BuildError(`there is no file \`${module}\``);
  try {
    const { outputFiles: [file] } = await esbuild.build({
      stdin: {
        contents: `import tools from ${JSON.stringify(path)};
          import { exportTools } from ${JSON.stringify(GLUE)};
          import { call, calls, warmUp } from ${JSON.stringify(REHEARSAL)};
          import { rehearse } from '${REHEARSING}';
          export const tool = exportTools(tools, warmUp);
          await rehearse(call, calls);`,
        resolveDir: dirname(path),
        sourcefile: ENTRY,
      },
      bundle: true,
      write: false,
      format: 'esm',
      platform: 'neutral',
      mainFields: ['module', 'main'],
      conditions: ['holster-component'],
      external: ['holster:*', 'wasi:*'],
      target: 'es2022',
      keepNames: true,
      legalComments: 'none',
      logLevel: 'silent',
      plugins: [noNode],
    });
    return /** @type {esbuild.OutputFile} */ (file).text;
  } catch (error) {
    throw new BuildError(await whyNoBundle(error, module));
  }
}

/** @type {esbuild.Plugin} */
const noNode = {
  name: 'no Node.js',
  setup({ onResolve }) {
    const names = new RegExp(`^(node:.*|${builtinModules.join('|')})$`);
    onResolve({ filter: names }, ({ path }) => ({
      errors: [{ text: `a component has no Node.js, and so no \`${path}\`; use what the web platform has` }],
    }));
  },
};

/** @param {unknown} error @param {string} module */
async function whyNoBundle(error, module) {
  const errors = /** @type {esbuild.BuildFailure} */ (error).errors;
  if (!errors) throw error;
  if (errors.some(({ text, location }) => location?.file.endsWith(ENTRY) && text.includes('import "default"'))) {
    return `\`${module}\` has no default export; write \`export default tool({ … })\`, or a list of tools`;
  }
  const texts = await esbuild.formatMessages(errors, { kind: 'error', color: false });
  return `the module cannot be bundled\n\n${texts.join('').trimEnd()}`;
}

/** @param {string} source */
async function engineWith(source) {
  const folder = await mkdtemp(join(tmpdir(), 'holster-sdk-'));
  const sourcePath = join(folder, 'tool.js');
  try {
    await writeFile(sourcePath, source);
    const { component } = await componentize({
      sourcePath,
      witPath: contractFolder(),
      worldName: 'plugin',
      disableFeatures: ['fetch-event'],
    });
    return component;
  } catch (error) {
    throw new BuildError(whyNoComponent(/** @type {Error} */ (error).message));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * The engine's words, less what speaks of the engine itself.
 *
 * @param {string} message
 */
function whyNoComponent(message) {
  const asked = /attempted to call an unknown imported function: '([^']+)' '([^']+)'/.exec(message);
  if (asked) {
    const call = `${asked[1]}#${asked[2]}`;
    return `the module asks the host for something (\`${call}\`) while it is built, at its top; ask in \`run\` instead`;
  }
  const thrown = /evaluating top-level script\n\S+ (.+)/.exec(message);
  if (thrown) {
    const frames = message.match(/^ {2}\S*@tool\.js:\d+:\d+$/gm) ?? [];
    return [`the module fails when it is loaded: ${thrown[1]}`, ...frames].join('\n');
  }
  return `the module makes no component\n\n${message}`;
}

/**
 * Nobody ever sees half a component, even if the build is interrupted.
 *
 * @param {string} path
 * @param {Uint8Array} bytes
 */
async function writeWhole(path, bytes) {
  await mkdir(dirname(path), { recursive: true });
  const unfinished = join(dirname(path), `.${randomUUID()}.unfinished`);
  try {
    await writeFile(unfinished, bytes);
    await rename(unfinished, path);
  } finally {
    await rm(unfinished, { force: true });
  }
}
