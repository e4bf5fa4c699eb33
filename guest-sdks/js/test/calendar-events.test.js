import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { call, withHost } from 'holster-sdk/testing';
import { imported } from './sources.js';

/** What the stand-in for Google answers next, and what it was asked last. */
const google = { status: 200, body: /** @type {unknown} */ ({ items: [] }), headers: {}, asked: /** @type {any} */ ({}) };
/** @type {any} */
let calendarEvents;

const server = createServer((request, response) => {
  google.asked = { url: new URL(request.url ?? '', 'http://google'), authorization: request.headers.authorization };
  response.writeHead(google.status, google.headers).end(JSON.stringify(google.body));
});

before(async () => {
  ({ default: calendarEvents } = await imported('../../example-tools/calendar-events/src/tool.ts'));
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
});
after(() => {
  server.close();
  server.closeAllConnections();
});

/** @param {object} args @param {{ status?: number, body?: unknown, headers?: object }} answer */
async function ask(args, { status = 200, body = { items: [] }, headers = {} }) {
  Object.assign(google, { status, body, headers });
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  const settings = { base_url: `http://127.0.0.1:${port}` };
  const host = { accounts: { google: { token: 'sealed' } }, settings };
  return withHost(host, () => call(calendarEvents, 'calendar_events', args));
}

test('events are asked for with the account, in order, and told in one form', async () => {
  const items = [
    {
      id: 'a',
      summary: 'Review',
      location: 'Room 2',
      start: { dateTime: '2026-12-01T10:00:00+01:00' },
      end: { dateTime: '2026-12-01T11:00:00+01:00' },
      htmlLink: 'https://calendar.google.com/a',
    },
    { id: 'b', start: { date: '2026-12-05' }, end: { date: '2026-12-06' }, htmlLink: 'https://calendar.google.com/b' },
  ];
  const { content } = await ask({}, { body: { items } });
  assert.equal(content.length, 1);
  assert.deepEqual(JSON.parse(/** @type {any} */ (content[0]).val), {
    result: [
      {
        id: 'a',
        title: 'Review',
        start: '2026-12-01T10:00:00+01:00',
        end: '2026-12-01T11:00:00+01:00',
        location: 'Room 2',
        url: 'https://calendar.google.com/a',
      },
      { id: 'b', title: '', start: '2026-12-05', end: '2026-12-06', url: 'https://calendar.google.com/b' },
    ],
  });
  assert.equal(google.asked.authorization, 'Bearer sealed');
  assert.equal(google.asked.url.pathname, '/calendar/v3/calendars/primary/events');
  assert.deepEqual(Object.fromEntries(google.asked.url.searchParams), {
    singleEvents: 'true',
    orderBy: 'startTime',
    maxResults: '20',
  });
});

test('the calendar is one segment of the path, and the times are escaped', async () => {
  const from = '2026-12-01T00:00:00+01:00';
  await ask({ calendar: 'a/b#c@example.com', from, to: '2026-12-02T00:00:00Z', limit: 5 }, {});
  assert.equal(google.asked.url.pathname, '/calendar/v3/calendars/a%2Fb%23c%40example.com/events');
  const { timeMin, timeMax, maxResults } = Object.fromEntries(google.asked.url.searchParams);
  assert.deepEqual({ timeMin, timeMax, maxResults }, { timeMin: from, timeMax: '2026-12-02T00:00:00Z', maxResults: '5' });
});

/** @param {string} reason */
function because(reason) {
  return { error: { message: 'Because.', errors: [{ reason }] } };
}

for (const [status, body, tag, val] of /** @type {[number, unknown, string, any][]} */ ([
  [400, because('badRequest'), 'invalid-arguments', 'Google refused the request: Because.'],
  [401, because('authError'), 'unauthorised', 'google'],
  [403, because('insufficientPermissions'), 'unauthorised', 'google'],
  [403, 'no JSON object', 'unauthorised', 'google'],
  [403, because('rateLimitExceeded'), 'rate-limited', 9],
  [403, because('userRateLimitExceeded'), 'rate-limited', 9],
  [404, because('notFound'), 'invalid-arguments', 'there is no calendar `primary`, or the account may not see it'],
  [410, because('gone'), 'failed', 'Google answered with status 410'],
  [429, {}, 'rate-limited', 9],
  [503, {}, 'unavailable', 'Google answered with status 503; try again later'],
])) {
  test(`status ${status} with ${JSON.stringify(body)} is ${tag}`, async () => {
    await assert.rejects(ask({}, { status, body, headers: { 'retry-after': '9' } }), { tag, val });
  });
}
