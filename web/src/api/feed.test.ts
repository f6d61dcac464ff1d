import { afterEach, beforeEach, expect, test, vi } from 'vitest'

import { Problem, Unreachable } from './client'
import { Feed, type FeedPorts, type StreamHandlers } from './feed'
import type { Alert, AlertPage, LiveState } from './types'

const alert = (id: string, revision = 1, changes: Partial<Alert> = {}): Alert =>
  ({ id, revision, state: 'open', severity: 'warning', ended_at: null, ...changes }) as Alert

const page = (cursor: string, items: Alert[] = [], more = false): AlertPage => ({ cursor, items, more })

/** A station played by the test: `answers` are taken one by one, then the last cursor again and again. */
class Play {
  answers: (AlertPage | Error)[] = []
  reads: { after: string | null; waitS: number }[] = []
  streams: { after: string | null; handlers: StreamHandlers; closed: boolean }[] = []
  signedOut = 0
  news: string[] = []
  drones: LiveState[] | Error = []
  readonly feed: Feed

  constructor(operator = false) {
    const ports: FeedPorts = {
      readAlerts: (after, waitS) => {
        this.reads.push({ after, waitS })
        const answer = this.answers.shift() ?? page(after ?? 'c0')
        if (answer instanceof Error) return Promise.reject(answer)
        return waitS > 0
          ? new Promise((resolve) => setTimeout(() => { resolve(answer) }, waitS * 1000))
          : Promise.resolve(answer)
      },
      readLive: operator
        ? () => (this.drones instanceof Error ? Promise.reject(this.drones) : Promise.resolve(this.drones))
        : null,
      openStream: (after, handlers) => {
        const stream = { after, handlers, closed: false }
        this.streams.push(stream)
        return { close: () => { stream.closed = true } }
      },
      nowMs: Date.now,
      random: () => 1,
    }
    this.feed = new Feed(ports, () => { this.signedOut += 1 })
    this.feed.onNews(({ id }) => this.news.push(id))
  }

  get shown() {
    return [...this.feed.snapshot().alerts.values()].map(({ id, revision }) => `${id}${revision}`)
  }

  get link() {
    return this.feed.snapshot().link
  }

  get stream() {
    const last = this.streams.at(-1)
    if (last === undefined) throw new Error('no stream was opened')
    return last
  }

  async pass(ms = 0) {
    await vi.advanceTimersByTimeAsync(ms)
  }
}

let play: Play

beforeEach(() => {
  vi.useFakeTimers()
  play = new Play()
})

afterEach(() => {
  play.feed.stop()
  vi.useRealTimers()
})

async function startStreaming(): Promise<void> {
  play.feed.start()
  await play.pass()
  play.stream.handlers.opened()
  await play.pass()
}

test('reads everything page by page, then streams from the cursor and reads again once the stream is open', async () => {
  play.answers = [page('c1', [alert('a')], true), page('c2', [alert('b')])]
  await startStreaming()
  expect(play.shown).toEqual(['a1', 'b1'])
  expect(play.reads.map(({ after }) => after)).toEqual([null, 'c1', 'c2'])
  expect(play.stream.after).toBe('c2')
  expect(play.link).toBe('streaming')
  expect(play.news).toEqual([])
})

test('an alert between the first read and the open stream is not missed', async () => {
  play.answers = [page('c1'), page('c2', [alert('between')])]
  await startStreaming()
  expect(play.shown).toEqual(['between1'])
  expect(play.news).toEqual(['between'])
})

test('a streamed alert is shown at once, its cursor still comes from a read, a late old revision changes nothing', async () => {
  play.answers = [page('c1')]
  await startStreaming()
  play.stream.handlers.alert(alert('a', 3))
  play.stream.handlers.alert(alert('a', 2))
  expect(play.shown).toEqual(['a3'])
  expect(play.news).toEqual(['a'])
  await play.pass(20_000)
  expect(play.reads.at(-1)?.after).toBe('c1')
})

test('without network it says offline since the last contact, retries ever more slowly and recovers by itself', async () => {
  play.answers = [page('c1', [alert('a')])]
  await startStreaming()
  const contact = Date.now()
  await play.pass(5_000)
  play.answers = [new Unreachable('down'), new Unreachable('down'), new Unreachable('down'), page('c2', [alert('b')])]
  const readsBefore = play.reads.length
  play.stream.handlers.failed()
  await play.pass(1_000)
  expect(play.link).toBe('offline')
  expect(play.feed.snapshot().lastContactMs).toBe(contact)
  expect(play.shown).toEqual(['a1'])
  await play.pass(1_000 + 2_000 - 1)
  expect(play.reads.length - readsBefore).toBe(2)
  await play.pass(1 + 4_000)
  expect(play.shown).toEqual(['a1', 'b1'])
  expect(play.link).toBe('connecting')
  expect(play.news).toEqual(['b'])
})

test('a dead connection that raises no error is found by the next heartbeat', async () => {
  play.answers = [page('c1'), page('c1'), new Unreachable('dead')]
  await startStreaming()
  await play.pass(20_000)
  expect(play.link).toBe('offline')
  expect(play.stream.closed).toBe(true)
})

test('where streams do not get through it polls with waiting, and later gives the stream another chance', async () => {
  play.feed.start()
  await play.pass()
  play.stream.handlers.failed()
  await play.pass(1_000)
  // The second stream hangs: neither open nor broken.
  await play.pass(8_000 + 1_000)
  expect(play.streams).toHaveLength(2)
  expect(play.link).toBe('polling')
  expect(play.reads.at(-1)).toEqual({ after: 'c0', waitS: 25 })
  play.answers = [page('c1', [alert('a')])]
  await play.pass(50_000)
  expect(play.shown).toEqual(['a1'])
  await play.pass(25_000)
  expect(play.streams).toHaveLength(3)
})

test('a nudge ends the wait for the next attempt', async () => {
  play.answers = [new Unreachable('down'), page('c1')]
  play.feed.start()
  await play.pass()
  expect(play.link).toBe('offline')
  play.feed.nudge()
  await play.pass()
  expect(play.feed.snapshot().loaded).toBe(true)
})

test('a session that is over ends the feed', async () => {
  play.answers = [page('c1'), new Problem(401, 'over')]
  await startStreaming()
  expect(play.signedOut).toBe(1)
  expect(play.stream.closed).toBe(true)
  await play.pass(60_000)
  expect(play.reads).toHaveLength(2)
})

test('a station that begun anew is read from the beginning, and what it does not know is gone', async () => {
  play.answers = [page('c1', [alert('old')]), new Problem(400, 'unknown cursor'), page('d1', [alert('new')])]
  await startStreaming()
  await play.pass(1_000)
  expect(play.shown).toEqual(['new1'])
  expect(play.reads.map(({ after }) => after).slice(0, 3)).toEqual([null, 'c1', null])
  expect(play.news).toEqual([])
})

test('an operator sees drones at once, with the way they came', async () => {
  const live = (lon: number) => ({ drone: 'd', flight: { lat_deg: 31, lon_deg: lon }, eyes: null }) as unknown as LiveState
  play = new Play(true)
  play.drones = [live(120)]
  await startStreaming()
  play.stream.handlers.live(live(120))
  play.stream.handlers.live(live(121))
  expect(play.feed.snapshot().drones.get('d')?.trail).toEqual([[120, 31], [121, 31]])
})

test('stopping closes the stream and asks nothing more', async () => {
  await startStreaming()
  play.feed.stop()
  await play.pass()
  const reads = play.reads.length
  expect(play.stream.closed).toBe(true)
  await play.pass(120_000)
  expect(play.reads).toHaveLength(reads)
})
