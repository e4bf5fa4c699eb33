import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Type, tool } from 'holster-sdk';
import { exportTools } from '../src/component.js';

const base = { name: 'greet', description: 'Greets.', run() {} };

/** @param {any} declaration */
function definition(declaration) {
  const [found] = exportTools(/** @type {any} */ (tool({ ...base, ...declaration }))).listTools();
  assert(found);
  return found;
}

test('a tool without parameters and output has an empty input schema, and no output schema', () => {
  assert.deepEqual(definition({}), {
    name: 'greet',
    title: undefined,
    description: 'Greets.',
    inputSchema: '{"type":"object","properties":{},"additionalProperties":false}',
    outputSchema: undefined,
    requirements: [],
    behaviour: {},
  });
});

test('requirements and hints are those of the declaration', () => {
  const { requirements, behaviour } = definition({
    auth: [{ provider: 'slack', scopes: ['b', 'a'] }, { provider: 'github' }],
    behaviour: { readOnly: true, openWorld: false },
  });
  assert.deepEqual(requirements, [
    { provider: 'slack', scopes: ['b', 'a'] },
    { provider: 'github', scopes: [] },
  ]);
  assert.deepEqual(behaviour, { readOnly: true, openWorld: false });
});

for (const [sentence, output, expected] of /** @type {[string, any, any][]} */ ([
  ['an object is the output schema itself', Type.Object({}), { properties: {} }],
  [
    'a list is wrapped in `result`',
    Type.Array(Type.Number()),
    { properties: { result: { type: 'array', items: { type: 'number' } } }, required: ['result'] },
  ],
  ['a number is wrapped', Type.Number(), { properties: { result: { type: 'number' } }, required: ['result'] }],
  [
    'a choice of names is wrapped',
    Type.Enum(['a', 'b']),
    { properties: { result: { type: 'string', enum: ['a', 'b'] } }, required: ['result'] },
  ],
])) {
  test(`output: ${sentence}`, () => {
    const schema = JSON.parse(definition({ output }).outputSchema ?? '');
    assert.deepEqual(schema, { type: 'object', ...expected, additionalProperties: false });
  });
}

test('a choice of objects is an output schema of type object', () => {
  const output = Type.Union([Type.Object({ a: Type.String() }), Type.Object({ b: Type.String() })]);
  const schema = JSON.parse(definition({ output }).outputSchema ?? '');
  assert.equal(schema.type, 'object');
  assert.equal(schema.anyOf.length, 2);
});

test('a text has no output schema', () => {
  assert.equal(definition({ output: Type.String() }).outputSchema, undefined);
});

for (const [declaration, message] of /** @type {[any, RegExp][]} */ ([
  [{ name: 'two words' }, /`two words` is no name for a tool/],
  [{ name: 'a'.repeat(65) }, /is no name for a tool; take 1 to 64/],
  [{ name: undefined }, /`undefined` is no name/],
  [{ description: ' ' }, /the tool `greet` has no `description`/],
  [{ run: undefined }, /the tool `greet` has no function `run`/],
  [{ input: Type.String() }, /the `input` of the tool `greet` is not of type `object`/],
  [{ input: { $ref: '#' } }, /the `input` of the tool `greet`: the schema `#` refers to itself/],
  [{ output: Type.Union([Type.Object({}), Type.Number()]) }, /the `output` of .* allows objects and other values/],
])) {
  test(`a declaration is refused: ${message.source}`, () => {
    assert.throws(() => tool({ ...base, ...declaration }), message);
  });
}

for (const [tools, message] of /** @type {[any, RegExp][]} */ ([
  [[], /the default export is an empty list/],
  [[tool(base), tool(base)], /there are two tools `greet`; rename one/],
  [{ greet: tool(base) }, /the default export is no tool/],
  [undefined, /the default export is no tool/],
])) {
  test(`a default export is refused: ${message.source}`, () => {
    assert.throws(() => exportTools(tools), message);
  });
}
