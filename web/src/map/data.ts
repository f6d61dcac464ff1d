/** What happens on the market, as shapes that the map can draw. */

import type { Drone } from '../api/feed'
import type { Alert } from '../api/types'
import { circleRing, ellipseRing, type LonLat } from './geometry'

export interface DroneOnMap {
  name: string
  at: LonLat | null
  headingDeg: number | null
  stale: boolean
  drone: Drone
}

export interface OwnPosition {
  at: LonLat
  accuracyM: number
}

type Features = GeoJSON.FeatureCollection

const collect = (features: GeoJSON.Feature[]): Features => ({ type: 'FeatureCollection', features })

const feature = (geometry: GeoJSON.Geometry, properties: GeoJSON.GeoJsonProperties): GeoJSON.Feature => ({
  type: 'Feature', geometry, properties,
})

export function footprints(drones: readonly DroneOnMap[]): Features {
  return collect(
    drones.flatMap(({ drone, stale }) => {
      const corners = drone.live.eyes?.footprint ?? []
      const [first] = corners
      if (first === undefined || corners.length < 3) return []
      const ring = [...corners, first].map((corner) => [corner.lon_deg, corner.lat_deg])
      return [feature({ type: 'Polygon', coordinates: [ring] }, { stale })]
    }),
  )
}

export function people(drones: readonly DroneOnMap[]): Features {
  return collect(
    drones.flatMap(({ drone, stale }) =>
      (drone.live.eyes?.tracks ?? []).map((track) =>
        feature({ type: 'Point', coordinates: [track.lon_deg, track.lat_deg] }, { stale }),
      ),
    ),
  )
}

export function trails(drones: readonly DroneOnMap[]): Features {
  return collect(
    drones
      .filter(({ drone }) => drone.trail.length > 1)
      .map(({ drone, stale }) => feature({ type: 'LineString', coordinates: drone.trail }, { stale })),
  )
}

export function ellipses(alerts: readonly Alert[], selected: string | null): Features {
  return collect(
    alerts.map((alert) =>
      feature(
        { type: 'Polygon', coordinates: [ellipseRing(placeOf(alert), alert.position.ellipse_90)] },
        { severity: alert.severity, selected: alert.id === selected },
      ),
    ),
  )
}

export function ownArea(own: OwnPosition | null): Features {
  return collect(
    own === null ? [] : [feature({ type: 'Polygon', coordinates: [circleRing(own.at, own.accuracyM)] }, {})],
  )
}

export function placeOf(alert: Alert): LonLat {
  return [alert.position.lon, alert.position.lat]
}
