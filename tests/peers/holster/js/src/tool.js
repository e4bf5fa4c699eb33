// The tools that the hosts are measured with, as an author writes them for Holster in JavaScript.

import { Type, tool } from 'holster-sdk';

const behaviour = { readOnly: true, idempotent: true, openWorld: false };

const echo = tool({
  name: 'echo',
  description: 'Gives a text back.',
  behaviour,
  input: Type.Object({ text: Type.String({ description: 'The text.' }) }),
  run: ({ text }) => text,
});

const big = tool({
  name: 'big',
  description: 'Gives a text of some length.',
  behaviour,
  input: Type.Object({ bytes: Type.Integer({ description: 'How many bytes.', minimum: 0 }) }),
  run: ({ bytes }) => 'x'.repeat(bytes),
});

const spin = tool({
  name: 'spin',
  description: 'Never ends.',
  behaviour,
  input: Type.Object({}),
  run() {
    for (;;);
  },
});

export default [echo, big, spin];
