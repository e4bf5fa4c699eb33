import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';
import {
  AuthError,
  Failed,
  InvalidArguments,
  Output,
  RateLimited,
  Type,
  Unauthorised,
  Unavailable,
  auth,
  config,
  tool,
} from 'holster-sdk';
import { call, withHost } from 'holster-sdk/testing';
import { exportTools } from '../src/component.js';

/** @param {any} run @param {object} [declaration] @returns {any} */
function named(run, declaration = {}) {
  return tool({ name: 'it', description: 'It.', ...declaration, run });
}

/** @param {any} run @param {object} [declaration] */
function answer(run, declaration) {
  return call(named(run, declaration), 'it', {});
}

/** @param {unknown} object */
function structured(object) {
  return { content: [{ tag: 'structured', val: JSON.stringify(object) }] };
}

test('a text becomes text', async () => {
  assert.deepEqual(await answer(() => 'hello'), { content: [{ tag: 'text', val: 'hello' }] });
});

test('nothing becomes no content', async () => {
  assert.deepEqual(await answer(() => {}), { content: [] });
});

test('a text that says null is no null', async () => {
  assert.deepEqual(await answer(() => ({ a: 'null', b: { c: 'null' } })), structured({ a: 'null', b: { c: 'null' } }));
});

test('an object becomes structured content, without what is null or undefined', async () => {
  const output = Type.Object({ a: Type.Number(), b: Type.Optional(Type.Number()), c: Type.Array(Type.Any()) });
  const result = await answer(() => ({ a: 1, b: null, c: [{ d: null, e: 1 }, null], f: undefined }), { output });
  assert.deepEqual(result, structured({ a: 1, c: [{ e: 1 }, null] }));
});

test('a date in a result becomes its text', async () => {
  assert.deepEqual(await answer(() => ({ at: new Date(0) })), structured({ at: '1970-01-01T00:00:00.000Z' }));
});

test('a list and a number are wrapped, with an output schema and without', async () => {
  for (const output of [undefined, Type.Array(Type.Number())]) {
    assert.deepEqual(await answer(() => [1, 2], { output }), structured({ result: [1, 2] }));
  }
  assert.deepEqual(await answer(() => 0, { output: Type.Number() }), structured({ result: 0 }));
});

test('an answer of several pieces keeps their order', async () => {
  const link = { uri: 'https://example.com/', name: 'example' };
  const pieces = () => new Output().text('a').image(Uint8Array.of(1), 'image/png').link(link).text('b');
  assert.deepEqual((await answer(pieces)).content, [
    { tag: 'text', val: 'a' },
    { tag: 'image', val: { data: Uint8Array.of(1), mimeType: 'image/png' } },
    { tag: 'resource-link', val: link },
    { tag: 'text', val: 'b' },
  ]);
});

test('promises are waited for', async () => {
  assert.deepEqual(await answer(async () => 'later'), { content: [{ tag: 'text', val: 'later' }] });
});

test('the run sees the arguments with defaults, and the context', async () => {
  const input = Type.Object({ count: Type.Integer({ default: 3 }), word: Type.String() });
  const echo = named(
    (/** @type {any} */ args, /** @type {any} */ { thread, profile, deadline, timeLeft }) => ({
      ...args,
      thread,
      profile,
      inTime: deadline > new Date() && timeLeft > 0,
    }),
    { input },
  );
  const expected = { word: 'x', count: 3, thread: 't', profile: 'work', inTime: true };
  assert.deepEqual(await call(echo, 'it', { word: 'x' }, { thread: 't', profile: 'work' }), structured(expected));
});

for (const [thrown, tag, val] of /** @type {[any, string, any][]} */ ([
  [new InvalidArguments('no'), 'invalid-arguments', 'no'],
  [new Unauthorised('slack'), 'unauthorised', 'slack'],
  [new RateLimited(7), 'rate-limited', 7],
  [new RateLimited(), 'rate-limited', undefined],
  [new RateLimited('12'), 'rate-limited', 12],
  [new RateLimited(0.5), 'rate-limited', 1],
  [new RateLimited('Wed, 21 Oct 2026 07:28:00 GMT'), 'rate-limited', undefined],
  [new RateLimited(-1), 'rate-limited', undefined],
  [new RateLimited(null), 'rate-limited', undefined],
  [new RateLimited(1e12), 'rate-limited', 4294967295],
  [new Unavailable('no'), 'unavailable', 'no'],
  [new Failed('no'), 'failed', 'no'],
  ['no', 'failed', 'no'],
])) {
  test(`thrown ${thrown.name ?? 'text'} with ${val} answers with ${tag}`, async () => {
    await assert.rejects(
      answer(() => {
        throw thrown;
      }),
      { tag, val },
    );
  });
}

test('an uncaught error answers with its type and message; its place goes to standard error only', async (t) => {
  const log = t.mock.method(console, 'error', () => {});
  await assert.rejects(answer(() => /** @type {any} */ (undefined).name), (/** @type {any} */ error) => {
    assert.equal(error.tag, 'failed');
    assert.match(error.val, /^TypeError: [^\n]+$/);
    return true;
  });
  assert.match(log.mock.calls[0]?.arguments[0], /^TypeError: .*\n.*call\.test\.js/);
});

test('a service that does not answer is unavailable', async (t) => {
  t.mock.method(console, 'error', () => {});
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  await new Promise((resolve) => server.close(resolve));
  await assert.rejects(
    answer(() => fetch(`http://127.0.0.1:${port}/`)),
    { tag: 'unavailable', val: /** @type {any} */ (/does not answer/) },
  );
});

test('a result that breaks the kind of its output is a fault of the tool', async (t) => {
  t.mock.method(console, 'error', () => {});
  const output = Type.Object({});
  for (const [result, kind] of /** @type {[any, string][]} */ ([
    [undefined, 'nothing'],
    [[], 'a list'],
    ['x', 'a string'],
    [new Output(), 'an `Output`'],
  ])) {
    const val = `TypeError: the tool declares an object as its output, but returned ${kind}`;
    await assert.rejects(answer(() => result, { output }), { tag: 'failed', val });
  }
});

test('a tool that is not there is an invalid argument', async () => {
  const val = 'there is no tool `other` in this component';
  await assert.rejects(call(named(() => {}), 'other', {}), { tag: 'invalid-arguments', val });
});

test('arguments that do not parse, are missing or unknown are invalid', () => {
  const input = Type.Object({ word: Type.String(), more: Type.Optional(Type.String()) });
  const { call } = exportTools(named(() => {}, { input }));
  const context = { thread: 't', profile: 'p', deadline: 0n };
  for (const [text, message] of /** @type {[string, RegExp][]} */ ([
    ['{"a":', /^the arguments are not a JSON object: ./],
    ['[]', /^the arguments are not a JSON object$/],
    ['null', /^the arguments are not a JSON object$/],
    ['{}', /^`word` is missing$/],
    ['{"word":"x","colour":"red"}', /^there is no parameter `colour`$/],
    ['{"word":"x","constructor":1}', /^there is no parameter `constructor`$/],
  ])) {
    assert.throws(() => call('it', text, context), { tag: 'invalid-arguments', val: /** @type {any} */ (message) });
  }
});

test('the credential of a declared provider has all that the contract has', async () => {
  const expiresAt = new Date('2026-12-01T00:00:00Z');
  const accounts = { slack: { token: 'sealed', label: 'ann', scopes: ['b', 'a'], expiresAt } };
  await withHost({ accounts, profile: 'work' }, () => {
    const credential = auth.get('slack');
    const { provider, profile, account, scopes } = credential;
    assert.deepEqual({ provider, profile, account, scopes }, {
      provider: 'slack',
      profile: 'work',
      account: 'ann',
      scopes: ['a', 'b'],
    });
    assert.deepEqual(credential.expiresAt, expiresAt);
    assert.equal(credential.token(), 'sealed');
    assert.deepEqual(credential.header(), { name: 'Authorization', value: 'Bearer sealed' });
  });
});

test('what the host refuses is an AuthError, and ends the call as the error that it stands for', async () => {
  await withHost({ accounts: { slack: { token: 'sealed' } } }, async () => {
    assert.throws(() => auth.get('github'), (error) => {
      assert(error instanceof AuthError);
      assert.deepEqual([error.reason, error.detail], ['not-declared', 'github']);
      return true;
    });
    const undeclared = 'the tool asked for an account at `github`, which it does not declare';
    await assert.rejects(answer(() => auth.get('github')), { tag: 'failed', val: undeclared });
    const unsupported = 'an account of a test signs nothing';
    await assert.rejects(answer(() => auth.get('slack').sign('hmac-sha256', 'x')), { tag: 'failed', val: unsupported });
  });
});

test('outside a component there is no host', async () => {
  const val = /** @type {any} */ (/there is no host outside a component/);
  await assert.rejects(answer(() => auth.get('slack')), { tag: 'unavailable', val });
  await assert.rejects(answer(() => config.get('base_url')), { tag: 'unavailable', val });
});

test('a setting that the operator gave wins over the other value', async () => {
  await withHost({ settings: { base_url: 'http://localhost' } }, () => {
    assert.equal(config.get('base_url', 'https://example.com'), 'http://localhost');
    assert.equal(config.get('other', 'https://example.com'), 'https://example.com');
    assert.equal(config.get('other'), undefined);
  });
});

test('what is warmed up when the tools are listed changes nothing of the list, and the rehearsals succeed', async () => {
  const { call, calls, context, warmUp } = await import('../src/rehearsal.js');
  const declared = named(() => 'ready');
  let rehearsed = 0;
  const exported = exportTools(declared, () => {
    warmUp();
    rehearsed += 1;
  });
  assert.deepEqual(exported.listTools(), exportTools(declared).listTools());
  assert.equal(rehearsed, 1);
  for (const [name, args] of calls) assert.equal((await call(name, args, context)).content.length, 1);
});
