import { expect, test } from 'vitest'

import type { Drone } from '../api/feed'
import type { LiveState } from '../api/types'
import { agesOf, isStale } from './freshness'

const RECEIVED = '2026-05-01T12:00:00Z'

function drone(flightBehindS: number | null, ageS: number): Drone {
  const atNs = flightBehindS === null ? null : (Date.parse(RECEIVED) - flightBehindS * 1000) * 1e6
  const live = { received_at: RECEIVED, age_s: ageS, flight: atNs && { at_ns: atNs }, eyes: null } as unknown as LiveState
  return { live, arrivedAtMs: 5_000, trail: [] }
}

test('an age is what had passed before the report came plus what our clock counted since', () => {
  const ages = agesOf(drone(0.5, 0.25), 6_000)
  expect(ages.reportS).toBeCloseTo(1.25)
  expect(ages.flightS).toBeCloseTo(1.75)
  expect(ages.eyesS).toBeNull()
})

test('an aircraft that fell silent is stale though reports keep coming', () => {
  const { reportS, flightS } = agesOf(drone(10, 0), 5_000)
  expect([isStale(reportS), isStale(flightS)]).toEqual([false, true])
})

test('a clock of the edge that runs ahead does not make data younger than its report', () => {
  expect(agesOf(drone(-30, 0), 9_000).flightS).toBeCloseTo(4)
})

test('data is stale after three seconds or when it is missing', () => {
  expect([3, 3.01, null].map(isStale)).toEqual([false, true, true])
})
