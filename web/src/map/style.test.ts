import { validateStyleMin } from '@maplibre/maplibre-gl-style-spec'
import { expect, test } from 'vitest'

import { labelled, nightStyle, SOURCES } from './style'

test('the style is valid and asks for nothing from elsewhere', () => {
  const style = nightStyle()
  expect(validateStyleMin(style)).toEqual([])
  expect(style).not.toHaveProperty('glyphs')
  expect(style).not.toHaveProperty('sprite')
  expect(Object.keys(style.sources)).toEqual([...SOURCES])
})

const square = { type: 'Polygon', coordinates: [[[0, 0], [2, 0], [2, 2], [0, 2], [0, 0]]] } as const

test('names are in the chosen language, a zone has its name at its northern edge', () => {
  const market = {
    type: 'FeatureCollection',
    features: [
      { type: 'Feature', geometry: square, properties: { kind: 'zone', name: { zh: '后院', en: 'Yard' } } },
      { type: 'Feature', geometry: square, properties: { kind: 'stall', name: { zh: '烤串', en: '' } } },
      { type: 'Feature', geometry: square, properties: null },
    ],
  } as unknown as GeoJSON.FeatureCollection
  const properties = labelled(market, 'en').features.map((feature) => feature.properties)
  expect(properties).toEqual([
    { kind: 'zone', label: 'Yard' },
    { kind: 'zone-name', label: 'Yard' },
    { kind: 'stall', label: '烤串' },
    { kind: '', label: '' },
  ])
  expect(labelled(market, 'zh').features[1]?.geometry).toEqual({ type: 'Point', coordinates: [1, 2] })
})
