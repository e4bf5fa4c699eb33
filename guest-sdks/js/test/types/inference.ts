// Checked by the compiler, never run: every `@ts-expect-error` is an error that an author must get.

import { Output, RateLimited, Type, auth, config, tool } from 'holster-sdk';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(_: Same<A, B>) {}

const about = { name: 'it', description: 'It.' };

const input = Type.Object({
  count: Type.Integer({ default: 10 }),
  level: Type.Enum(['low', 'high']),
  note: Type.Optional(Type.String()),
  words: Type.Dictionary(Type.Number()),
});

export const typed = tool({
  ...about,
  input,
  output: Type.Object({ total: Type.Number(), note: Type.Optional(Type.String()) }),
  run({ count, level, note, words }, { thread, deadline, timeLeft }) {
    same<typeof count, number>(true);
    same<typeof level, 'low' | 'high'>(true);
    same<typeof note, string | undefined>(true);
    same<typeof words, Record<string, number>>(true);
    same<typeof thread, string>(true);
    same<typeof deadline, Date>(true);
    same<typeof timeLeft, number>(true);
    return { total: count, note };
  },
});

// @ts-expect-error: `total` is a number
export const wrong = tool({ ...about, output: Type.Object({ total: Type.Number() }), run: () => ({ total: 'x' }) });

// @ts-expect-error: `total` is missing
export const missing = tool({ ...about, output: Type.Object({ total: Type.Number() }), run: async () => ({}) });

export const unknown = tool({
  ...about,
  input,
  run({
    count,
    // @ts-expect-error: there is no such parameter
    colour,
  }) {
    return `${count}${colour}`;
  },
});

export const several = tool({ ...about, run: () => new Output().text('a').image(new Uint8Array(), 'image/png') });
export const silent = tool({ ...about, run() {} });
export const limited = tool({
  ...about,
  run() {
    throw new RateLimited(3);
  },
});

export const plain = tool({
  ...about,
  input: { type: 'object', properties: { word: { type: 'string' } } },
  run: ({ word }) => `${word}`,
});

// @ts-expect-error: a tool says what it does
export const undescribed = tool({ name: 'it', run() {} });

// @ts-expect-error: a hint of another name
export const hinted = tool({ ...about, behaviour: { readonly: true }, run() {} });

const credential = auth.get('slack');
same<typeof credential.expiresAt, Date | undefined>(true);
credential.sign('hmac-sha256', 'payload');
// @ts-expect-error: no such algorithm
credential.sign('md5', 'payload');
// @ts-expect-error: what the host holds cannot be set
credential.profile = 'work';

export const setting: string | undefined = config.get('base_url');
export const address: string = config.get('base_url', 'https://example.com');

export const asking = tool({
  ...about,
  run(_, context) {
    context.log('notice', 'it begins');
    context.progress(1);
    // @ts-expect-error: there is no such level
    context.log('loud', 'it begins');
    const answer = context.ask('Who comes?', input);
    // @ts-expect-error: a person may decline
    answer.content;
    if (answer.action === 'accept') same<typeof answer.content.count, number>(true);
  },
});
