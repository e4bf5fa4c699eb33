import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Output, Type, tool } from 'holster-sdk';
import { call, withHost } from 'holster-sdk/testing';
import { AskError } from '../src/session.js';
import { put, readmeBlock } from './sources.js';

const form = Type.Object({ name: Type.String(), guests: Type.Integer({ default: 1 }) });

const invite = tool({
  name: 'invite',
  description: 'Asks who comes.',
  run(_, context) {
    context.log('info', 'it begins');
    context.progress(1, 2, 'asking');
    const answer = context.ask('Who comes?', form);
    return answer.action === 'accept' ? `${answer.content.name} and ${answer.content.guests}` : answer.action;
  },
});

test('an answer has the defaults of the form', async () => {
  for (const [entered, val] of /** @type {[object | undefined, string][]} */ ([
    [{ name: 'Ann', guests: 2 }, 'Ann and 2'],
    [{ name: 'Ann' }, 'Ann and 1'],
    [undefined, 'decline'],
  ])) {
    const answer = (/** @type {string} */ message) => (message === 'Who comes?' ? entered : {});
    const result = await withHost({ answer }, () => call(invite, 'invite', {}));
    assert.deepEqual(result.content, [{ tag: 'text', val }]);
  }
});

test('where nobody can be asked the call fails, and messages go nowhere', async () => {
  const val = /** @type {any} */ (/^nobody can be asked: there is no host outside a component/);
  await assert.rejects(call(invite, 'invite', {}), { tag: 'failed', val });
});

test('what is no answer is an AskError, and ends the call as the error that it stands for', () => {
  for (const [reason, tag] of /** @type {[any, string][]} */ ([
    ['unsupported', 'failed'],
    ['invalid', 'failed'],
    ['too-many', 'unavailable'],
    ['unanswered', 'unavailable'],
  ])) {
    const error = new AskError(reason, 'why');
    assert.deepEqual([error.reason, error.detail, /** @type {any} */ (error).tag], [reason, 'why', tag]);
    assert.match(error.message, /: why$/);
  }
});

test('the deadline moves on while a person thinks', async () => {
  /** @type {any} */
  const thinker = tool({
    name: 'thinker',
    description: 'Waits.',
    run(_, context) {
      const before = context.deadline.getTime();
      context.ask('Who comes?', form);
      return String(context.deadline.getTime() - before >= 20);
    },
  });
  const answer = () => {
    for (const end = Date.now() + 25; Date.now() < end; );
    return undefined;
  };
  const result = await withHost({ answer }, () => call(thinker, 'thinker', {}));
  assert.deepEqual(result.content, [{ tag: 'text', val: 'true' }]);
});

test('a resource is a piece of an answer', async () => {
  const uri = 'test://page';
  const pages = tool({
    name: 'pages',
    description: 'Gives pages.',
    run: () =>
      new Output()
        .resource({ uri, contents: '# Hello', mimeType: 'text/markdown' })
        .resource({ uri, contents: Uint8Array.of(1) }),
  });
  assert.deepEqual((await call(pages, 'pages', {})).content, [
    {
      tag: 'embedded-resource',
      val: { uri, mimeType: 'text/markdown', contents: { tag: 'text', val: '# Hello' } },
    },
    { tag: 'embedded-resource', val: { uri, mimeType: undefined, contents: { tag: 'blob', val: Uint8Array.of(1) } } },
  ]);
});

test('the example of the README asks what it says', async () => {
  const module = await put('readme-session.mjs', await readmeBlock('js', 'import { Type, tool }'));
  const { default: tidyUp } = await import(module);
  for (const [entered, val] of /** @type {[object | undefined, string][]} */ ([
    [{ keep: 'all' }, 'It is tidy.'],
    [undefined, 'Nothing was done.'],
  ])) {
    const result = await withHost({ answer: () => entered }, () => call(tidyUp, 'tidy_up', {}));
    assert.deepEqual(result.content, [{ tag: 'text', val }]);
  }
});
