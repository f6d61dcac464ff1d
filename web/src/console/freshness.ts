/** How old is what the console shows. Old data must look old: an operator decides on it. */

import type { Drone } from '../api/feed'

export const STALE_AFTER_S = 3

export interface Ages {
  /** Since the edge's last report reached the station. */
  reportS: number
  /** Since the aircraft said where it is, null without a word from it. */
  flightS: number | null
  /** Since the camera took the picture that the tracks are from, null without one. */
  eyesS: number | null
}

/** Ages on our own clock, plus what had passed already when the report came; the edge's times are UTC. */
export function agesOf({ live, arrivedAtMs }: Drone, nowMs: number): Ages {
  const reportS = live.age_s + Math.max(0, nowMs - arrivedAtMs) / 1000
  const receivedMs = Date.parse(live.received_at)
  const since = (part: { at_ns: number } | null) =>
    part === null ? null : reportS + Math.max(0, receivedMs - part.at_ns / 1e6) / 1000
  return { reportS, flightS: since(live.flight), eyesS: since(live.eyes) }
}

export function isStale(ageS: number | null): boolean {
  return ageS === null || ageS > STALE_AFTER_S
}
