import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Type as TypeBox } from 'typebox';
import { Type } from 'holster-sdk';
import { canonical, complete } from '../src/schema.js';

const described = { description: 'A word.' };

for (const [sentence, schema, expected] of /** @type {[string, any, any][]} */ ([
  [
    'objects are closed, and require in the order of the declaration',
    Type.Object({ b: Type.String(described), a: Type.Boolean() }),
    {
      type: 'object',
      properties: { b: { type: 'string', description: 'A word.' }, a: { type: 'boolean' } },
      required: ['b', 'a'],
      additionalProperties: false,
    },
  ],
  ['no parameters are an empty, closed object', Type.Object({}), closed({})],
  [
    'what is optional or has a default is not required',
    Type.Object({ a: Type.Optional(Type.String()), b: Type.Integer({ default: 3 }) }),
    closed({ a: { type: 'string' }, b: { type: 'integer', default: 3 } }),
  ],
  [
    'what may be null is what may be left out',
    Type.Object({ a: Type.Union([Type.String(), Type.Null()], described), b: Type.Number() }),
    { ...closed({ a: { type: 'string', description: 'A word.' }, b: { type: 'number' } }), required: ['b'] },
  ],
  [
    'what may be null is so in a schema by hand, too',
    { type: 'object', properties: { a: { type: ['integer', 'null'] } }, required: ['a'] },
    closed({ a: { type: 'integer' } }),
  ],
  [
    'a choice of names or null is an optional choice of names',
    Type.Object({ a: Type.Union([Type.Literal('x'), Type.Literal('y'), Type.Null()]) }),
    closed({ a: { type: 'string', enum: ['x', 'y'] } }),
  ],
  [
    'a choice of names is a string, however it was declared',
    Type.Object({
      a: Type.Optional(Type.Enum(['x', 'y'], described)),
      b: Type.Optional(Type.Union([Type.Literal('x'), Type.Literal('y')], described)),
      c: Type.Optional(Type.Literal('x')),
    }),
    closed({
      a: { type: 'string', description: 'A word.', enum: ['x', 'y'] },
      b: { type: 'string', description: 'A word.', enum: ['x', 'y'] },
      c: { type: 'string', enum: ['x'] },
    }),
  ],
  [
    'titles, dialects and formats of numbers are left out, but a property may be named `title`',
    {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      title: 'Args',
      type: 'object',
      properties: { title: { type: 'integer', format: 'uint32', minimum: 0 }, at: { type: 'string', format: 'date' } },
    },
    closed({ title: { type: 'integer', minimum: 0 }, at: { type: 'string', format: 'date' } }),
  ],
  [
    'references are inlined',
    {
      type: 'object',
      properties: { a: { $ref: '#/$defs/Word', description: 'A word.' } },
      $defs: { Word: { type: 'string', title: 'Word' } },
    },
    closed({ a: { type: 'string', description: 'A word.' } }),
  ],
  [
    'objects within lists and choices are closed, too',
    Type.Array(Type.Union([Type.Object({}), Type.Array(Type.Object({}))])),
    { type: 'array', items: { anyOf: [closed({}), { type: 'array', items: closed({}) }] } },
  ],
  [
    'a dictionary has values of one type under any name',
    Type.Dictionary(Type.Integer({ format: 'int32' })),
    { type: 'object', additionalProperties: { type: 'integer' } },
  ],
  [
    "the record of typebox's own is a dictionary",
    TypeBox.Record(TypeBox.String(), TypeBox.Number()),
    { type: 'object', additionalProperties: { type: 'number' } },
  ],
  [
    'an object that its author left open stays open',
    Type.Object({}, { additionalProperties: true }),
    { type: 'object', properties: {}, additionalProperties: true },
  ],
])) {
  test(sentence, () => assert.deepEqual(json(canonical(schema)), expected));
}

test('the order of keys is that of the contract: type, then what explains, properties, required, closed', () => {
  const schema = canonical(Type.Object({ a: Type.String() }, described));
  assert.deepEqual(Object.keys(schema), ['type', 'description', 'properties', 'required', 'additionalProperties']);
});

test('a schema that contains itself is refused by name', () => {
  const tree = { type: 'object', properties: { child: { $ref: '#/$defs/Tree' } } };
  assert.throws(() => canonical({ ...tree, $defs: { Tree: tree } }), /`#\/\$defs\/Tree` refers to itself/);
});

test('a reference to nowhere is refused by name', () => {
  assert.throws(() => canonical({ $ref: '#/$defs/Nobody' }), /refers to `#\/\$defs\/Nobody`, which is not among/);
});

test('defaults are filled in, in nested objects and lists as well', () => {
  const schema = Type.Object({
    count: Type.Integer({ default: 10 }),
    urgent: Type.Boolean({ default: false }),
    people: Type.Array(Type.Object({ name: Type.String(), role: Type.String({ default: 'guest' }) })),
  });
  assert.deepEqual(complete(schema, { people: [{ name: 'Ann' }, { name: 'Ben', role: 'host' }] }), {
    count: 10,
    urgent: false,
    people: [
      { name: 'Ann', role: 'guest' },
      { name: 'Ben', role: 'host' },
    ],
  });
});

test('a given value wins over the default, even where it is false, nought or empty', () => {
  const schema = Type.Object({
    a: Type.Boolean({ default: true }),
    b: Type.Number({ default: 1 }),
    c: Type.String({ default: 'x' }),
  });
  const given = { a: false, b: 0, c: '' };
  assert.deepEqual(complete(schema, given), given);
});

test('what was left out is null where the type says null, and absent where it says optional', () => {
  const schema = Type.Object({ a: Type.Union([Type.String(), Type.Null()]), b: Type.Optional(Type.String()) });
  assert.deepEqual(complete(schema, {}), { a: null });
});

/** @param {object} properties */
function closed(properties) {
  return { type: 'object', properties, additionalProperties: false };
}

/** @param {unknown} value */
function json(value) {
  return JSON.parse(JSON.stringify(value));
}
