/** One way to ask the station: cookies, the forgery header, time limits, and failures a person can read. */

import type { Alert, AlertPage, LiveStates, LoggedIn, User } from './types'

export const API = '/api/v1'
const TIME_LIMIT_MS = 12_000

/** The station did not answer at all: no network, wrong address, or it is down. */
export class Unreachable extends Error {
  override name = 'Unreachable'
}

/** The station answered with a problem (RFC 9457). `detail` is the station's own sentence. */
export class Problem extends Error {
  override name = 'Problem'
  readonly status: number
  readonly detail: string

  constructor(status: number, detail: string) {
    super(detail)
    this.status = status
    this.detail = detail
  }
}

export function isSignedOut(error: unknown): boolean {
  return error instanceof Problem && error.status === 401
}

/** The one thing in our reads that the station may find wrong is a cursor that it did not give out. */
export function isUnknownCursor(error: unknown): boolean {
  return error instanceof Problem && error.status === 400
}

interface Ask {
  method?: 'GET' | 'POST'
  body?: unknown
  signal?: AbortSignal
  timeLimitMs?: number
}

async function ask<Answer>(path: string, { method = 'GET', body, signal, timeLimitMs = TIME_LIMIT_MS }: Ask = {}): Promise<Answer> {
  const limit = AbortSignal.timeout(timeLimitMs)
  const headers: Record<string, string> = { Accept: 'application/json' }
  if (method !== 'GET') headers['X-Night-Patrol'] = '1'
  if (body !== undefined) headers['Content-Type'] = 'application/json'
  let response: Response
  let text: string
  try {
    response = await fetch(API + path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
      credentials: 'same-origin',
      cache: 'no-store',
    })
    text = await response.text()
  } catch (error) {
    signal?.throwIfAborted()
    throw new Unreachable(error instanceof Error ? error.message : String(error))
  }
  if (!response.ok) throw readProblem(response.status, text)
  return (text === '' ? undefined : JSON.parse(text)) as Answer
}

/** Makes a Problem of an error answer, also of one that a proxy wrote in HTML. */
export function readProblem(status: number, text: string): Problem {
  try {
    const problem = JSON.parse(text) as { detail?: unknown; title?: unknown }
    for (const words of [problem.detail, problem.title]) {
      if (typeof words === 'string' && words !== '') return new Problem(status, words)
    }
  } catch {
    // Not JSON: fall through to the bare status.
  }
  return new Problem(status, `HTTP ${status}`)
}

export const station = {
  me: (signal?: AbortSignal) => ask<User>('/auth/me', { signal }),
  login: async (username: string, password: string) => {
    const answer = await ask<LoggedIn>('/auth/login', { method: 'POST', body: { username, password } })
    return answer.user
  },
  logout: () => ask<undefined>('/auth/logout', { method: 'POST' }),
  market: (signal?: AbortSignal) => ask<GeoJSON.FeatureCollection>('/market', { signal }),
  alerts: (after: string | null, waitS: number, limit: number, signal?: AbortSignal) => {
    const query = new URLSearchParams({ limit: String(limit) })
    if (after !== null) query.set('after', after)
    if (waitS > 0) query.set('wait', String(waitS))
    return ask<AlertPage>(`/alerts?${query}`, { signal, timeLimitMs: TIME_LIMIT_MS + waitS * 1000 })
  },
  acknowledge: (id: string) =>
    ask<Alert>(`/alerts/${encodeURIComponent(id)}/acknowledge`, { method: 'POST', body: {} }),
  live: async (signal?: AbortSignal) => (await ask<LiveStates>('/live', { signal })).drones,
}
