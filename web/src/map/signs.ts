/** What stands on the map: pins for alerts, arrows for drones, a dot for the officer. */

import { isWaiting, SEVERITY_RANK } from '../alerts/order'
import type { Alert } from '../api/types'
import { severityShape } from '../design/icons'
import { type DroneOnMap, type OwnPosition, placeOf } from './data'
import type { MarkerSpec } from './markers'

const DRONE_ARROW = 'M16 3 25 27 16 22 7 27Z'
/** Who covers whom: drones lie under alerts, taken alerts under open ones, and the chosen one on top. */
const DRONE_LAYER = 1
const OWN_LAYER = 2
const ALERT_LAYER = 3
const WAITING_LAYERS = 3
const SELECTED_LAYERS = 6

export function alertMarker(alert: Alert, label: string, selected: boolean, choose: (id: string) => void): MarkerSpec {
  const waiting = isWaiting(alert)
  const draw = () => {
    const button = document.createElement('button')
    button.type = 'button'
    button.className = `alert-marker is-${alert.severity}`
    button.classList.toggle('is-waiting', waiting)
    button.classList.toggle('is-selected', selected)
    button.setAttribute('aria-label', label)
    button.setAttribute('aria-pressed', String(selected))
    button.append(pin(severityShape(alert.severity)))
    button.addEventListener('click', () => {
      choose(alert.id)
    })
    return button
  }
  return {
    id: `alert ${alert.id}`,
    at: placeOf(alert),
    look: `${label} ${selected}`,
    draw,
    anchor: 'bottom',
    zIndex: ALERT_LAYER + SEVERITY_RANK[alert.severity] + (waiting ? WAITING_LAYERS : 0) + (selected ? SELECTED_LAYERS : 0),
  }
}

/** Nothing for a drone whose place is not known. */
export function droneMarker({ name, at, headingDeg, stale }: DroneOnMap, label: string): MarkerSpec[] {
  if (at === null) return []
  const draw = () => {
    const element = sign('drone-marker', label)
    element.classList.toggle('is-stale', stale)
    const caption = document.createElement('span')
    caption.textContent = name
    element.append(icon(DRONE_ARROW, 32), caption)
    return element
  }
  return [{ id: `drone ${name}`, at, look: `${label} ${stale}`, draw, turnDeg: headingDeg ?? 0, zIndex: DRONE_LAYER }]
}

export function ownMarker(own: OwnPosition | null, label: string): MarkerSpec[] {
  if (own === null) return []
  return [{ id: 'own', at: own.at, look: label, draw: () => sign('own-marker', label), zIndex: OWN_LAYER }]
}

function sign(className: string, label: string): HTMLElement {
  const element = document.createElement('div')
  element.className = className
  element.setAttribute('role', 'img')
  element.setAttribute('aria-label', label)
  return element
}

const SVG = 'http://www.w3.org/2000/svg'

/** An SVG of one path in a square view box. */
function icon(path: string, side: number): SVGSVGElement {
  return drawing(`0 0 ${side} ${side}`, [{ path, name: 'shape' }])
}

/** A pin whose tip is the place, so that what lies there stays in sight. The sign is drawn in a square of 16. */
function pin(sign: string): SVGSVGElement {
  return drawing('0 0 32 42', [
    { path: 'M16 41C13 33 2 27 2 16a14 14 0 1 1 28 0C30 27 19 33 16 41Z', name: 'pin' },
    { path: sign, name: 'sign', transform: 'translate(8 8)' },
  ])
}

function drawing(viewBox: string, parts: { path: string; name: string; transform?: string }[]): SVGSVGElement {
  const svg = document.createElementNS(SVG, 'svg')
  svg.setAttribute('viewBox', viewBox)
  svg.setAttribute('aria-hidden', 'true')
  for (const { path, name, transform } of parts) {
    const shape = document.createElementNS(SVG, 'path')
    shape.setAttribute('d', path)
    shape.setAttribute('class', name)
    shape.setAttribute('fill-rule', 'evenodd')
    if (transform !== undefined) shape.setAttribute('transform', transform)
    svg.append(shape)
  }
  return svg
}
