// Calls that nobody sees, made while a component is built, and while an instance of it waits for its call.
//
// An engine makes much of itself when it is first needed: prototypes, the bytecode of functions, shapes of objects. What
// is there when the build ends is there when a call starts; the rest each call would make anew.

import { exportTools } from './component.js';
import { tool } from './tool.js';

const description = 'Of no use to anyone.';
const texts = { type: 'array', items: { type: 'string' } };

const say = tool({
  name: 'say',
  description,
  input: object({ text: { type: 'string' }, number: { type: 'integer', default: 7 } }),
  run: ({ text, number }, { profile, deadline }) => `${text} ${number} ${profile} ${deadline.getTime()}`,
});

const count = tool({
  name: 'count',
  description,
  input: object({ texts }),
  output: object({ texts }),
  run: async ({ texts }) => ({ texts, note: null }),
});

export const { call } = exportTools([say, count]);

/** The name and the arguments of each call. @type {[string, string][]} */
export const calls = [
  ['say', '{"text":"ready, set"}'],
  ['count', '{"texts":["one","two"]}'],
];

/** For whom each call is. */
export const context = { thread: 'rehearsal', profile: 'rehearsal', deadline: 0n };

/** What a call writes to first in the memory that all calls begin with is copied for it: here, before there is a call. */
export function warmUp() {
  for (const [name, args] of calls) call(name, args, context);
}

/** @param {{ [name: string]: import('./schema.js').Schema }} properties */
function object(properties) {
  return { type: 'object', properties, required: Object.keys(properties) };
}
