/** Shapes on the ground in metres, made into longitudes and latitudes. */

import type { ErrorEllipse } from '../api/types'

export type LonLat = [lon: number, lat: number]

const WGS84_A_M = 6_378_137
const WGS84_E2 = 6.694_379_990_14e-3
const RING_STEPS = 72

const radians = (degrees: number) => (degrees * Math.PI) / 180
const degrees = (angle: number) => (angle * 180) / Math.PI

/** Metres that one degree of longitude and of latitude measure here (radii of curvature of WGS-84). */
export function metresPerDegree(lat: number): { east: number; north: number } {
  const sine2 = Math.sin(radians(lat)) ** 2
  const primeVertical = WGS84_A_M / Math.sqrt(1 - WGS84_E2 * sine2)
  const meridian = (WGS84_A_M * (1 - WGS84_E2)) / (1 - WGS84_E2 * sine2) ** 1.5
  return { east: radians(primeVertical * Math.cos(radians(lat))), north: radians(meridian) }
}

/** The point so many metres east and north of another; for distances of a market, not of a country. */
export function offset([lon, lat]: LonLat, eastM: number, northM: number): LonLat {
  const metres = metresPerDegree(lat)
  return [lon + eastM / metres.east, lat + northM / metres.north]
}

/** The closed outline of an error ellipse around its centre. */
export function ellipseRing(centre: LonLat, ellipse: ErrorEllipse): LonLat[] {
  const bearing = radians(ellipse.bearing_deg)
  const ring: LonLat[] = []
  for (let step = 0; step <= RING_STEPS; step++) {
    const angle = (2 * Math.PI * (step % RING_STEPS)) / RING_STEPS
    const along = ellipse.semi_major_m * Math.cos(angle)
    const across = ellipse.semi_minor_m * Math.sin(angle)
    ring.push(
      offset(
        centre,
        along * Math.sin(bearing) + across * Math.cos(bearing),
        along * Math.cos(bearing) - across * Math.sin(bearing),
      ),
    )
  }
  return ring
}

export function circleRing(centre: LonLat, radiusM: number): LonLat[] {
  return ellipseRing(centre, { semi_major_m: radiusM, semi_minor_m: radiusM, bearing_deg: 0 })
}

/** Distance in metres and bearing in degrees (0..360, clockwise from north) from one point to another. */
export function distanceAndBearing(from: LonLat, to: LonLat): { distanceM: number; bearingDeg: number } {
  const metres = metresPerDegree((from[1] + to[1]) / 2)
  const east = (to[0] - from[0]) * metres.east
  const north = (to[1] - from[1]) * metres.north
  return { distanceM: Math.hypot(east, north), bearingDeg: (degrees(Math.atan2(east, north)) + 360) % 360 }
}

export const COMPASS = ['n', 'ne', 'e', 'se', 's', 'sw', 'w', 'nw'] as const
export type CompassPoint = (typeof COMPASS)[number]

export function compassPoint(bearingDeg: number): CompassPoint {
  return COMPASS[Math.round((((bearingDeg % 360) + 360) % 360) / 45) % 8] ?? 'n'
}

/** South-west and north-east corners of all positions, or null without any. */
export function bounds(positions: Iterable<LonLat>): [LonLat, LonLat] | null {
  let corners: [LonLat, LonLat] | null = null
  for (const [lon, lat] of positions) {
    corners ??= [[lon, lat], [lon, lat]]
    const [southWest, northEast] = corners
    southWest[0] = Math.min(southWest[0], lon)
    southWest[1] = Math.min(southWest[1], lat)
    northEast[0] = Math.max(northEast[0], lon)
    northEast[1] = Math.max(northEast[1], lat)
  }
  return corners
}

/** Every position of a geometry, whatever its kind. */
export function* positionsOf(geometry: GeoJSON.Geometry): Generator<LonLat> {
  if (geometry.type === 'GeometryCollection') {
    for (const part of geometry.geometries) yield* positionsOf(part)
    return
  }
  yield* flatten(geometry.coordinates)
}

type Nested = number[] | Nested[]

function* flatten(coordinates: Nested): Generator<LonLat> {
  const [first, second] = coordinates
  if (typeof first === 'number' && typeof second === 'number') {
    yield [first, second]
    return
  }
  for (const part of coordinates) if (typeof part !== 'number') yield* flatten(part)
}
