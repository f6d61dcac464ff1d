/** Markers are elements over the map, not paint: they take the keyboard's focus and the screen reader's attention. */

import { type Map as MapLibreMap, Marker } from 'maplibre-gl'

import type { LonLat } from './geometry'

export interface MarkerSpec {
  id: string
  at: LonLat
  /** Changes when the element must be drawn again. */
  look: string
  draw: () => HTMLElement
  /** Turns the first SVG in the element, clockwise. */
  turnDeg?: number
  /** Which part of the element stands at the place. */
  anchor?: 'center' | 'bottom'
  zIndex: number
}

export class Markers {
  private readonly shown = new Map<string, { marker: Marker; look: string }>()

  constructor(private readonly map: MapLibreMap) {}

  /** Adds, moves, redraws and removes so that exactly these markers stand on the map. */
  show(specs: readonly MarkerSpec[]): void {
    const wanted = new Set(specs.map(({ id }) => id))
    for (const [id, { marker }] of this.shown) {
      if (!wanted.has(id)) {
        marker.remove()
        this.shown.delete(id)
      }
    }
    for (const spec of specs) {
      let entry = this.shown.get(spec.id)
      if (entry?.look !== spec.look) {
        const hadFocus = entry?.marker.getElement().contains(document.activeElement) ?? false
        entry?.marker.remove()
        const marker = new Marker({ element: spec.draw(), anchor: spec.anchor ?? 'center' }).setLngLat(spec.at).addTo(this.map)
        entry = { marker, look: spec.look }
        this.shown.set(spec.id, entry)
        if (hadFocus) marker.getElement().focus()
      }
      const element = entry.marker.setLngLat(spec.at).getElement()
      element.style.zIndex = String(spec.zIndex)
      const svg = element.querySelector('svg')
      if (svg !== null && spec.turnDeg !== undefined) svg.style.transform = `rotate(${spec.turnDeg}deg)`
    }
  }
}
