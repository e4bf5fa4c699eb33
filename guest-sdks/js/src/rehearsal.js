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

const note = object({ text: { type: 'string' }, size: { type: 'number' }, isNew: { type: 'boolean', default: true } });

// What tools are often made of. Of the engine's own functions many are made when they are first called.
const sum = tool({
  name: 'sum',
  description,
  input: object({ note, notes: { type: 'array', items: note }, kind: { enum: ['one', 'two'] } }),
  output: object({ note, texts, sizes: { type: 'object', additionalProperties: { type: 'number' } } }),
  run({ note, notes, kind }) {
    const all = [note, ...notes].filter(({ isNew }) => isNew).toSorted((a, b) => a.size - b.size);
    const sizes = new Map(all.map(({ text, size }) => [text.trim().toLowerCase(), size]));
    const size = Math.round(all.reduce((sum, { size }) => sum + size, 0) * 100) / 100;
    const words = all.flatMap(({ text }) => text.split(' ')).toSorted();
    const text = `${kind}: ${words.join(', ').slice(0, 80).replace(/\s+/g, ' ')}${words.includes('set') ? '!' : ''}`;
    return { note: { ...note, text, size }, texts: words, sizes: Object.fromEntries(sizes) };
  },
});

export const { call } = exportTools([say, count, sum]);

/** The name and the arguments of each call. @type {[string, string][]} */
export const calls = [
  ['say', '{"text":"ready, set"}'],
  ['count', '{"texts":["one","two"]}'],
  ['sum', '{"note":{"text":"ready","size":0.5},"notes":[{"text":" and set","size":2,"isNew":false}],"kind":"two"}'],
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
