/** The night map: no tiles and no fonts from anywhere, only the market's own shapes and what happens on them. */

import type { ExpressionSpecification, StyleSpecification } from 'maplibre-gl'

import type { Language } from '../i18n'
import { bounds, positionsOf } from './geometry'

/** The colours of design/tokens.css: the map draws on a canvas, where custom properties do not reach. */
const INK = {
  ground: '#070b10',
  market: '#10171f',
  marketEdge: '#4a5b6b',
  zone: '#1a2a38',
  zoneEdge: '#3f6178',
  lane: '#2b3947',
  stall: '#2f3c2f',
  stallEdge: '#5f7a5f',
  label: '#c4d0db',
  labelSoft: '#93a5b5',
  halo: '#070b10',
  drone: '#58c7f3',
  person: '#f4f1de',
  own: '#7aa2ff',
  watch: '#ffd564',
  warning: '#ff9d4d',
  critical: '#ff6b6b',
} as const

export const SOURCES = ['market', 'footprint', 'trail', 'people', 'ellipses', 'own'] as const
export type SourceName = (typeof SOURCES)[number]

const NOTHING: GeoJSON.FeatureCollection = { type: 'FeatureCollection', features: [] }

const ofKind = (...kinds: string[]): ExpressionSpecification => ['in', ['get', 'kind'], ['literal', kinds]]
const shape = (type: 'Polygon' | 'Point'): ExpressionSpecification => ['==', ['geometry-type'], type]
const severityColour: ExpressionSpecification = [
  'match', ['get', 'severity'], 'critical', INK.critical, 'warning', INK.warning, INK.watch,
]
const unlessStale = (fresh: number, stale: number): ExpressionSpecification => ['case', ['get', 'stale'], stale, fresh]

export function nightStyle(): StyleSpecification {
  const font = ['sans-serif']
  return {
    version: 8,
    sources: Object.fromEntries(SOURCES.map((name) => [name, { type: 'geojson', data: NOTHING }])),
    layers: [
      // Later layers claim their room first: where names compete, the zone's stays.
      { id: 'ground', type: 'background', paint: { 'background-color': INK.ground } },
      { id: 'market', type: 'fill', source: 'market', filter: ofKind('outline'), paint: { 'fill-color': INK.market } },
      {
        id: 'zones', type: 'fill', source: 'market', filter: ofKind('zone'),
        paint: { 'fill-color': INK.zone, 'fill-opacity': 0.65 },
      },
      {
        id: 'lanes', type: 'line', source: 'market', filter: ofKind('lane'),
        layout: { 'line-cap': 'round', 'line-join': 'round' },
        paint: { 'line-color': INK.lane, 'line-width': ['interpolate', ['exponential', 2], ['zoom'], 15, 1, 21, 40] },
      },
      {
        id: 'stalls', type: 'fill', source: 'market', filter: ['all', ofKind('stall'), shape('Polygon')],
        paint: { 'fill-color': INK.stall, 'fill-outline-color': INK.stallEdge },
      },
      {
        id: 'stall-points', type: 'circle', source: 'market', filter: ['all', ofKind('stall'), shape('Point')],
        paint: { 'circle-color': INK.stall, 'circle-stroke-color': INK.stallEdge, 'circle-stroke-width': 1.5, 'circle-radius': 5 },
      },
      {
        id: 'footprint', type: 'fill', source: 'footprint',
        paint: { 'fill-color': INK.drone, 'fill-opacity': unlessStale(0.1, 0.03) },
      },
      {
        id: 'zone-edges', type: 'line', source: 'market', filter: ofKind('zone'),
        paint: { 'line-color': INK.zoneEdge, 'line-width': 1 },
      },
      {
        id: 'market-edge', type: 'line', source: 'market', filter: ofKind('outline'),
        paint: { 'line-color': INK.marketEdge, 'line-width': 1.5 },
      },
      {
        id: 'footprint-edge', type: 'line', source: 'footprint',
        paint: { 'line-color': INK.drone, 'line-opacity': unlessStale(0.9, 0.3), 'line-width': 1.5, 'line-dasharray': [3, 2] },
      },
      {
        id: 'trail', type: 'line', source: 'trail', layout: { 'line-cap': 'round', 'line-join': 'round' },
        paint: { 'line-color': INK.drone, 'line-opacity': unlessStale(0.55, 0.2), 'line-width': 2 },
      },
      { id: 'own-area', type: 'fill', source: 'own', paint: { 'fill-color': INK.own, 'fill-opacity': 0.15 } },
      { id: 'ellipses', type: 'fill', source: 'ellipses', paint: { 'fill-color': severityColour, 'fill-opacity': 0.2 } },
      {
        id: 'ellipse-edges', type: 'line', source: 'ellipses',
        paint: { 'line-color': severityColour, 'line-width': ['case', ['get', 'selected'], 3, 1.5] },
      },
      {
        id: 'people', type: 'circle', source: 'people',
        paint: {
          'circle-color': INK.person, 'circle-opacity': unlessStale(0.95, 0.25),
          'circle-stroke-color': INK.ground, 'circle-stroke-width': 1,
          'circle-radius': ['interpolate', ['linear'], ['zoom'], 15, 1.5, 18, 3, 21, 7],
        },
      },
      {
        id: 'lane-labels', type: 'symbol', source: 'market', filter: ofKind('lane'), minzoom: 16.5,
        layout: { 'text-field': ['get', 'label'], 'text-font': font, 'text-size': 12, 'symbol-placement': 'line' },
        paint: { 'text-color': INK.labelSoft, 'text-halo-color': INK.halo, 'text-halo-width': 1.5 },
      },
      {
        id: 'stall-labels', type: 'symbol', source: 'market', filter: ofKind('stall'), minzoom: 18.6,
        layout: {
          'text-field': ['get', 'label'], 'text-font': font, 'text-size': 11, 'text-max-width': 6,
          'text-variable-anchor': ['center', 'top', 'bottom'], 'text-radial-offset': 0.6,
        },
        paint: { 'text-color': INK.labelSoft, 'text-halo-color': INK.halo, 'text-halo-width': 1.5 },
      },
      {
        id: 'zone-labels', type: 'symbol', source: 'market', filter: ofKind('zone-name'),
        layout: {
          'text-field': ['get', 'label'], 'text-font': font, 'text-size': 14, 'text-max-width': 20,
          'text-anchor': 'top', 'text-offset': [0, 0.3],
        },
        paint: { 'text-color': INK.label, 'text-halo-color': INK.halo, 'text-halo-width': 1.5 },
      },
    ],
  }
}

/** The market's shapes with the name that the reader can read; a zone's name stands at its northern edge, out of the way. */
export function labelled(market: GeoJSON.FeatureCollection, language: Language): GeoJSON.FeatureCollection {
  return {
    type: 'FeatureCollection',
    features: market.features.flatMap(({ type, geometry, properties }) => {
      const kind = text(properties?.kind)
      const label = nameOf(properties?.name, language)
      const shape: GeoJSON.Feature = { type, geometry, properties: { kind, label } }
      const corners = kind === 'zone' ? bounds(positionsOf(geometry)) : null
      if (corners === null) return [shape]
      const [[west], [east, north]] = corners
      const top: GeoJSON.Point = { type: 'Point', coordinates: [(west + east) / 2, north] }
      return [shape, { type, geometry: top, properties: { kind: 'zone-name', label } }]
    }),
  }
}

const text = (value: unknown) => (typeof value === 'string' ? value : '')

function nameOf(name: unknown, language: Language): string {
  if (typeof name !== 'object' || name === null) return text(name)
  const names = name as Record<string, unknown>
  return text(names[language]) || text(names.en) || text(names.zh)
}
