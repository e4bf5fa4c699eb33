// One tool: what its author declares, checked as far as a glance can tell, and put into the words of the contract.
//
// What is wrong with a declaration shows when the component is built, because its module runs then. The full rules
// of the contract are `holster check`'s.

import { canonical } from './schema.js';

/** @typedef {import('./schema.js').Schema} Schema */
/** @typedef {import('holster:plugin/tool@0.1.0').ToolDefinition} ToolDefinition */
/**
 * @typedef {{
 *   readonly thread: string, readonly profile: string, readonly deadline: Date, readonly timeLeft: number,
 *   log: typeof import('./session.js').log, progress: typeof import('./session.js').progress,
 *   ask: typeof import('./session.js').ask,
 * }} Context
 */
/** @typedef {(args: any, context: Context) => unknown} Run */

/**
 * How the result of a tool becomes content: as the object that it is, as `{ "result": … }`, or by its kind, where the
 * tool declares no output or only a text.
 *
 * @typedef {'object' | 'wrapped' | 'by kind'} Shape
 */

/** @typedef {{ definition: ToolDefinition, input: Schema, shape: Shape, run: Run }} Tool */

const EMPTY = { type: 'object', properties: {} };

/**
 * @param {{
 *   name: string, title?: string, description: string, input?: Schema, output?: Schema, run: Run,
 *   auth?: { provider: string, scopes?: string[] }[], behaviour?: ToolDefinition['behaviour'],
 * }} declaration
 * @returns {Tool}
 */
export function tool({ name, title, description, auth = [], behaviour = {}, input = EMPTY, output, run }) {
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(name ?? '')) {
    throw new TypeError(`\`${name}\` is no name for a tool; take 1 to 64 of A-Z a-z 0-9 _ -`);
  }
  const about = `the tool \`${name}\``;
  if (!description?.trim()) {
    throw new TypeError(`${about} has no \`description\`; say what it does, for the model that chooses it`);
  }
  if (typeof run !== 'function') throw new TypeError(`${about} has no function \`run\``);

  const inputSchema = explained(`the \`input\` of ${about}`, () => canonical(input));
  if (inputSchema.type !== 'object') {
    throw new TypeError(`the \`input\` of ${about} is not of type \`object\`; take \`Type.Object({ … })\``);
  }
  const { schema: outputSchema, shape } = explained(`the \`output\` of ${about}`, () => outputOf(output));

  const definition = {
    name,
    title,
    description,
    inputSchema: JSON.stringify(inputSchema),
    outputSchema: outputSchema && JSON.stringify(outputSchema),
    requirements: auth.map(({ provider, scopes = [] }) => ({ provider, scopes })),
    behaviour,
  };
  return { definition, input, shape, run };
}

/**
 * @param {Schema | undefined} declared
 * @returns {{ schema?: Schema, shape: Shape }}
 */
function outputOf(declared) {
  if (declared === undefined) return { shape: 'by kind' };
  const schema = canonical(declared);
  if (schema.type === 'string' && !schema.enum) return { shape: 'by kind' };
  switch (holdsObjects(schema)) {
    case 'always':
      return { schema: schema.type === 'object' ? schema : { type: 'object', ...schema }, shape: 'object' };
    case 'never':
      return { schema: canonical({ properties: { result: declared }, required: ['result'] }), shape: 'wrapped' };
    default:
      throw new TypeError('allows objects and other values; declare an object that holds it');
  }
}

/**
 * @param {Schema} schema
 * @returns {'always' | 'never' | 'sometimes'}
 */
function holdsObjects(schema) {
  const choices = schema.anyOf ?? schema.oneOf ?? schema.allOf;
  if (!choices) return schema.type === 'object' ? 'always' : schema.type || schema.enum ? 'never' : 'sometimes';
  const kinds = new Set(choices.map(holdsObjects));
  return kinds.size === 1 ? [...kinds][0] : 'sometimes';
}

/**
 * @template T
 * @param {string} subject
 * @param {() => T} work
 */
function explained(subject, work) {
  try {
    return work();
  } catch (error) {
    throw new TypeError(`${subject}: ${error instanceof Error ? error.message : error}`);
  }
}
