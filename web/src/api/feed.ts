/**
 * What the station tells without being asked: alerts and, for operators, the live state of drones.
 *
 * Alerts are read by cursor, so that nothing is missed; the event stream only makes them arrive sooner. The cursor
 * therefore comes from reads alone, and a read follows every time a stream opens. Where streams do not get through,
 * the same read waits at the station (long-poll). The same alert may arrive by both ways: the higher revision stays.
 */

import { isNews } from '../alerts/order'
import { isSignedOut, isUnknownCursor } from './client'
import type { Alert, AlertPage, LiveState } from './types'

/** How alerts arrive now. `offline`: the last attempt to reach the station failed. */
export type LinkState = 'connecting' | 'streaming' | 'polling' | 'offline'

export interface Drone {
  live: LiveState
  /** Our clock when `live` arrived; its age then was `live.age_s`. */
  arrivedAtMs: number
  /** Where it has been, oldest first. */
  trail: [lon: number, lat: number][]
}

export interface FeedState {
  link: LinkState
  lastContactMs: number | null
  /** False until the first read has succeeded. */
  loaded: boolean
  alerts: ReadonlyMap<string, Alert>
  drones: ReadonlyMap<string, Drone>
}

export interface StreamHandlers {
  opened: () => void
  alert: (alert: Alert) => void
  live: (live: LiveState) => void
  failed: () => void
}

/** The outside world, passed in so that tests can play it. */
export interface FeedPorts {
  readAlerts: (after: string | null, waitS: number, limit: number, signal: AbortSignal) => Promise<AlertPage>
  /** Null for those who may not see drones. */
  readLive: ((signal: AbortSignal) => Promise<LiveState[]>) | null
  openStream: (after: string | null, handlers: StreamHandlers) => { close: () => void }
  nowMs: () => number
  /** 0..1, spreads the retries of many terminals. */
  random: () => number
}

const PAGE = 200
const POLL_WAIT_S = 25
/** A stream that has not opened by then is held up on the way (a buffering proxy). */
const STREAM_OPENS_WITHIN_MS = 8_000
const STREAM_FAILURES_BEFORE_POLLING = 2
const POLL_BEFORE_NEXT_STREAM_MS = 60_000
/** A dead connection raises no error by itself; a read this often finds out. */
const HEARTBEAT_MS = 20_000
const LIVE_POLL_MS = 2_000
const RETRY_FIRST_MS = 1_000
const RETRY_LONGEST_MS = 15_000
const TRAIL_POINTS = 600

export class Feed {
  private state: FeedState = { link: 'connecting', lastContactMs: null, loaded: false, alerts: new Map(), drones: new Map() }
  private readonly listeners = new Set<() => void>()
  private readonly newsListeners = new Set<(alert: Alert) => void>()
  private cursor: string | null = null
  private streamFailures = 0
  private wake: () => void = () => undefined
  private stopping: AbortController | null = null

  constructor(
    private readonly ports: FeedPorts,
    private readonly onSignedOut: () => void,
  ) {}

  snapshot = (): FeedState => this.state

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  /** Tells of alerts that deserve attention, never of those that were there at the first read. */
  onNews = (listener: (alert: Alert) => void): (() => void) => {
    this.newsListeners.add(listener)
    return () => this.newsListeners.delete(listener)
  }

  start(): void {
    this.stopping?.abort()
    this.stopping = new AbortController()
    void this.run(this.stopping.signal)
  }

  stop(): void {
    this.stopping?.abort()
    this.stopping = null
  }

  /** Try again now: the network came back or the page is looked at again. */
  nudge = (): void => {
    this.wake()
  }

  /** Takes in an alert that came another way, for example as the answer to an acknowledgement. */
  learn = (alert: Alert): void => {
    this.merge([alert])
  }

  private async run(signal: AbortSignal): Promise<void> {
    let failures = 0
    const stopped = () => signal.aborted
    while (!stopped()) {
      try {
        await this.readAll(signal)
        failures = 0
        if (this.streamFailures < STREAM_FAILURES_BEFORE_POLLING) await this.followStream(signal)
        else await this.poll(signal)
      } catch (error) {
        if (stopped()) return
        if (isSignedOut(error)) {
          this.onSignedOut()
          return
        }
        if (isUnknownCursor(error)) this.forget()
        else this.update({ link: 'offline' })
        const longest = Math.min(RETRY_LONGEST_MS, RETRY_FIRST_MS * 2 ** failures++)
        await this.pause(longest * (0.5 + this.ports.random() / 2), signal)
      }
    }
  }

  /** The station has begun anew (another database): what we know of it is void. */
  private forget(): void {
    this.cursor = null
    this.update({ loaded: false, alerts: new Map() })
  }

  /** Reads from the cursor to the end; `waitS` lets the station hold the first answer until something happens. */
  private async readAll(signal: AbortSignal, waitS = 0): Promise<void> {
    let page: AlertPage
    do {
      page = await this.ports.readAlerts(this.cursor, waitS, PAGE, signal)
      signal.throwIfAborted()
      this.merge(page.items)
      this.cursor = page.cursor
      waitS = 0
    } while (page.more)
    this.update({
      loaded: true,
      lastContactMs: this.ports.nowMs(),
      link: this.state.link === 'offline' ? 'connecting' : this.state.link,
    })
  }

  /** Listens until the stream breaks; throws when the station cannot be reached either. */
  private async followStream(signal: AbortSignal): Promise<void> {
    let phase: 'opening' | 'open' | 'broken' = 'opening'
    const is = (wanted: typeof phase) => phase === wanted && !signal.aborted
    const stream = this.ports.openStream(this.cursor, {
      opened: () => {
        phase = 'open'
        this.streamFailures = 0
        this.update({ link: 'streaming', lastContactMs: this.ports.nowMs() })
        this.wake()
      },
      alert: (alert) => {
        this.touch()
        this.merge([alert])
      },
      live: (live) => {
        this.touch()
        this.mergeLive([live])
      },
      failed: () => {
        phase = 'broken'
        this.wake()
      },
    })
    try {
      await this.readLive(signal)
      if (is('opening')) await this.pause(STREAM_OPENS_WITHIN_MS, signal)
      while (is('open')) {
        await this.readAll(signal)
        if (is('open')) await this.pause(HEARTBEAT_MS, signal)
      }
    } finally {
      stream.close()
    }
    this.streamFailures += 1
    this.update({ link: 'connecting' })
    await this.pause(RETRY_FIRST_MS, signal)
  }

  /** Long-polls for a while, then lets the stream have another chance. */
  private async poll(signal: AbortSignal): Promise<void> {
    const round = new AbortController()
    const both = AbortSignal.any([signal, round.signal])
    const end = this.ports.nowMs() + POLL_BEFORE_NEXT_STREAM_MS
    this.update({ link: 'polling' })
    const watching = this.pollLive(both)
    try {
      while (!signal.aborted && this.ports.nowMs() < end) {
        await this.readAll(signal, POLL_WAIT_S)
        this.update({ link: 'polling' })
      }
    } finally {
      round.abort()
      await watching
    }
    this.streamFailures = STREAM_FAILURES_BEFORE_POLLING - 1
  }

  private async pollLive(signal: AbortSignal): Promise<void> {
    while (this.ports.readLive !== null && !signal.aborted) {
      // A failure here shows as stale data; the alerts' own read decides whether we are offline.
      await this.readLive(signal).catch(() => undefined)
      await sleep(LIVE_POLL_MS, signal)
    }
  }

  private async readLive(signal: AbortSignal): Promise<void> {
    if (this.ports.readLive === null) return
    const drones = await this.ports.readLive(signal)
    signal.throwIfAborted()
    this.mergeLive(drones)
  }

  private touch(): void {
    // Without telling the listeners: what touched us is about to.
    this.state = { ...this.state, lastContactMs: this.ports.nowMs() }
  }

  private merge(incoming: readonly Alert[]): void {
    const alerts = new Map(this.state.alerts)
    const news: Alert[] = []
    for (const alert of incoming) {
      const before = alerts.get(alert.id)
      if (before !== undefined && before.revision >= alert.revision) continue
      alerts.set(alert.id, alert)
      if (this.state.loaded && isNews(before, alert)) news.push(alert)
    }
    this.update({ alerts })
    for (const alert of news) for (const tell of this.newsListeners) tell(alert)
  }

  private mergeLive(incoming: readonly LiveState[]): void {
    const drones = new Map(this.state.drones)
    for (const live of incoming) {
      const trail = extend(drones.get(live.drone)?.trail ?? [], live)
      drones.set(live.drone, { live, arrivedAtMs: this.ports.nowMs(), trail })
    }
    this.update({ drones })
  }

  private update(change: Partial<FeedState>): void {
    this.state = { ...this.state, ...change }
    for (const listener of this.listeners) listener()
  }

  /** Waits for a time or for `nudge`, whichever comes first. */
  private async pause(ms: number, signal: AbortSignal): Promise<void> {
    const woken = new AbortController()
    this.wake = () => {
      woken.abort()
    }
    await sleep(ms, AbortSignal.any([signal, woken.signal]))
    this.wake = () => undefined
  }
}

function extend(trail: Drone['trail'], { flight }: LiveState): Drone['trail'] {
  if (flight?.lat_deg == null || flight.lon_deg === null) return trail
  const last = trail.at(-1)
  if (last?.[0] === flight.lon_deg && last[1] === flight.lat_deg) return trail
  return [...trail.slice(1 - TRAIL_POINTS), [flight.lon_deg, flight.lat_deg]]
}

/** Resolves after a time or at once when the signal fires; never rejects. */
function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve()
      return
    }
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done)
  })
}
