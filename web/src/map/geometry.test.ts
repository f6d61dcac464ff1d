import { expect, test } from 'vitest'

import { bounds, circleRing, compassPoint, distanceAndBearing, ellipseRing, type LonLat, metresPerDegree, positionsOf } from './geometry'

const MARKET: LonLat = [120.62, 31.3]

test('a degree is as long as the WGS-84 ellipsoid has it', () => {
  // Published lengths at the equator and at 45 degrees (NGA, length of a degree).
  expect(metresPerDegree(0).east).toBeCloseTo(111_319.5, 0)
  expect(metresPerDegree(0).north).toBeCloseTo(110_574.3, 0)
  expect(metresPerDegree(45).east).toBeCloseTo(78_846.8, 0)
  expect(metresPerDegree(45).north).toBeCloseTo(111_131.8, 0)
})

test('an error ellipse has its axes in metres and its major axis on its bearing', () => {
  const ring = ellipseRing(MARKET, { semi_major_m: 6, semi_minor_m: 2, bearing_deg: 30 })
  expect(ring.at(0)).toEqual(ring.at(-1))
  const along = distanceAndBearing(MARKET, ring[0] ?? MARKET)
  expect(along.distanceM).toBeCloseTo(6, 4)
  expect(along.bearingDeg).toBeCloseTo(30, 3)
  const across = distanceAndBearing(MARKET, ring[(ring.length - 1) / 4] ?? MARKET)
  expect(across.distanceM).toBeCloseTo(2, 4)
  expect(across.bearingDeg).toBeCloseTo(120, 3)
})

test('every point of a circle is a radius away', () => {
  for (const point of circleRing(MARKET, 15)) expect(distanceAndBearing(MARKET, point).distanceM).toBeCloseTo(15, 4)
})

test('directions have eight names', () => {
  expect([0, 44, 90, 180, 292.6, 337.6, 359].map(compassPoint)).toEqual(['n', 'ne', 'e', 's', 'nw', 'n', 'n'])
})

test('bounds hold every position of any geometry', () => {
  const lines: GeoJSON.Geometry = { type: 'MultiLineString', coordinates: [[[1, 5], [2, 4]], [[3, 7], [0, 6]]] }
  expect(bounds(positionsOf(lines))).toEqual([[0, 4], [3, 7]])
  expect(bounds(positionsOf({ type: 'GeometryCollection', geometries: [lines, { type: 'Point', coordinates: [9, 1] }] }))).toEqual([
    [0, 1], [9, 7],
  ])
  expect(bounds([])).toBeNull()
})
