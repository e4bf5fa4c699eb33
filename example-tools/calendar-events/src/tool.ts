// Lists the events of a Google calendar, with the account of the caller's profile.

import {
  Failed,
  InvalidArguments,
  RateLimited,
  type Static,
  type ToolError,
  Type,
  Unauthorised,
  Unavailable,
  auth,
  config,
  tool,
} from 'holster-sdk';

const Event = Type.Object({
  id: Type.String({ description: 'The id, unique in the calendar.' }),
  title: Type.String({ description: 'The title; empty if it has none, or if the account may not see it.' }),
  start: Type.String({ description: 'When it starts: an RFC 3339 time, or a date if it lasts whole days.' }),
  end: Type.String({ description: 'When it ends, not included: a time or a date, like the start.' }),
  location: Type.Optional(Type.String({ description: 'Where it takes place.' })),
  url: Type.String({ description: 'Where people read it.' }),
});

export default tool({
  name: 'calendar_events',
  title: 'Calendar events',
  description: 'Lists the events of a Google calendar in the order in which they start, repeated ones one by one.',
  auth: [{ provider: 'google', scopes: ['https://www.googleapis.com/auth/calendar.readonly'] }],
  behaviour: { readOnly: true, idempotent: true, openWorld: true },
  input: Type.Object({
    calendar: Type.String({
      description: "The calendar's id, often an e-mail address; `primary` is the account's own.",
      default: 'primary',
    }),
    from: Type.Optional(
      Type.String({ description: 'Only events that end after this RFC 3339 time, such as 2026-12-01T00:00:00Z.' }),
    ),
    to: Type.Optional(Type.String({ description: 'Only events that start before this RFC 3339 time.' })),
    limit: Type.Integer({ description: 'How many events to list.', minimum: 1, maximum: 250, default: 20 }),
  }),
  output: Type.Array(Event),
  async run({ calendar, from, to, limit }) {
    const base = config.get('base_url', 'https://www.googleapis.com');
    const query = new URLSearchParams({ singleEvents: 'true', orderBy: 'startTime', maxResults: `${limit}` });
    if (from !== undefined) query.set('timeMin', from);
    if (to !== undefined) query.set('timeMax', to);

    const { name, value } = auth.get('google').header();
    const response = await fetch(`${base}/calendar/v3/calendars/${encodeURIComponent(calendar)}/events?${query}`, {
      headers: { [name]: value },
    });
    if (!response.ok) throw await refusal(response, calendar);
    const { items }: { items: ApiEvent[] } = await response.json();
    return items.map(event);
  },
});

/** An event as Google writes it, as far as it matters here. */
interface ApiEvent {
  id: string;
  summary?: string;
  start: ApiTime;
  end: ApiTime;
  location?: string;
  htmlLink: string;
}

type ApiTime = { dateTime: string } | { date: string };

function event({ id, summary = '', start, end, location, htmlLink }: ApiEvent): Static<typeof Event> {
  return { id, title: summary, start: time(start), end: time(end), location, url: htmlLink };
}

function time(time: ApiTime): string {
  return 'dateTime' in time ? time.dateTime : time.date;
}

/** Why there are no events, in the words of the host. */
async function refusal(response: Response, calendar: string): Promise<ToolError> {
  const { status } = response;
  const error = await apiError(response);
  const isAboutPace = error.errors?.some(({ reason }) => /^(user)?rateLimitExceeded$/i.test(reason ?? ''));
  if (status === 429 || (status === 403 && isAboutPace)) return new RateLimited(response.headers.get('retry-after'));
  if (status === 401 || status === 403) return new Unauthorised('google');
  if (status === 404) {
    return new InvalidArguments(`there is no calendar \`${calendar}\`, or the account may not see it`);
  }
  if (status === 400) return new InvalidArguments(`Google refused the request: ${error.message ?? 'no reason given'}`);
  if (status >= 500) return new Unavailable(`Google answered with status ${status}; try again later`);
  return new Failed(`Google answered with status ${status}`);
}

interface ApiError {
  message?: string;
  errors?: { reason?: string }[];
}

/** What Google says in the body of an error; proxies in between may say nothing, or no JSON. */
async function apiError(response: Response): Promise<ApiError> {
  const body = await response.json().catch(() => undefined);
  return body?.error ?? {};
}
