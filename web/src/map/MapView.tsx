/** The market map with drones, people and alerts on it. Loaded apart from the page: the map library is heavy. */

import 'maplibre-gl/dist/maplibre-gl.css'
import './MapView.css'

import { Map as MapLibreMap, type GeoJSONSource, ScaleControl } from 'maplibre-gl'
import type { TFunction } from 'i18next'
import { type ReactNode, useEffect, useMemo, useRef, useState } from 'react'

import type { Alert } from '../api/types'
import { type Language, useWords } from '../i18n'
import { type DroneOnMap, ellipses, footprints, type OwnPosition, ownArea, people, placeOf, trails } from './data'
import { bounds, circleRing, distanceAndBearing, type LonLat, positionsOf } from './geometry'
import { Markers } from './markers'
import { alertMarker, droneMarker, ownMarker } from './signs'
import { labelled, nightStyle, type SourceName } from './style'

/** An alert is shown with at least so much of its surroundings, in metres. */
const SURROUNDINGS_M = 15
const CLOSE_ZOOM = 19.5
/** Room for pins and buttons at the edge of the map, in pixels. */
const PADDING = 32
/** Farther away than this, the way does not fit on a map that still shows the place. */
const WALK_M = 1500
const NO_DRONES: readonly DroneOnMap[] = []

interface Props {
  /** Undefined while it is being read, null when the station has none. */
  market: GeoJSON.FeatureCollection | null | undefined
  alerts: readonly Alert[]
  drones?: readonly DroneOnMap[]
  own?: OwnPosition | null
  selected: string | null
  onSelect?: (id: string) => void
  /** On a page that scrolls, moving the map takes two fingers. */
  inScrollingPage?: boolean
  /** Look at the selected alert from the beginning, not at the whole market. */
  startAtSelected?: boolean
  children?: ReactNode
}

export default function MapView(props: Props) {
  const { language } = useWords()
  // The map library takes its own words when it is made.
  return <MapInLanguage key={language} {...props} />
}

function MapInLanguage({
  market, alerts, drones = NO_DRONES, own = null, selected, onSelect, inScrollingPage = false, startAtSelected = false, children,
}: Props) {
  const { t, language } = useWords()
  const holder = useRef<HTMLDivElement>(null)
  const [shown, setShown] = useState<{ map: MapLibreMap; markers: Markers } | null>(null)
  const select = useRef(onSelect)
  useEffect(() => {
    select.current = onSelect
  })

  useEffect(() => {
    const container = holder.current
    if (container === null) return
    // Without WebGL this throws, and the error boundary around the map says so.
    const map = new MapLibreMap({
      container,
      style: nightStyle(),
      center: [0, 0],
      zoom: 1,
      maxZoom: 22,
      attributionControl: false,
      dragRotate: false,
      pitchWithRotate: false,
      touchPitch: false,
      maxPitch: 0,
      cooperativeGestures: inScrollingPage,
      fadeDuration: 0,
      locale: {
        'Map.Title': t('map.label'),
        'CooperativeGesturesHandler.MobileHelpText': t('map.twoFingers'),
        'CooperativeGesturesHandler.WindowsHelpText': t('map.ctrlScroll'),
        'CooperativeGesturesHandler.MacHelpText': t('map.cmdScroll'),
        'ScaleControl.Meters': 'm',
        'ScaleControl.Kilometers': 'km',
      },
    })
    map.touchZoomRotate.disableRotation()
    map.keyboard.disableRotation()
    map.addControl(new ScaleControl({ maxWidth: 120, unit: 'metric' }), 'bottom-right')
    void map.once('load', () => {
      setShown({ map, markers: new Markers(map) })
    })
    return () => {
      setShown(null)
      map.remove()
    }
  }, [inScrollingPage, t])

  const marketShapes = useMemo(() => (market ? labelled(market, language) : null), [market, language])
  useSource(shown?.map, 'market', marketShapes)
  useSource(shown?.map, 'footprint', useMemo(() => footprints(drones), [drones]))
  useSource(shown?.map, 'trail', useMemo(() => trails(drones), [drones]))
  useSource(shown?.map, 'people', useMemo(() => people(drones), [drones]))
  useSource(shown?.map, 'ellipses', useMemo(() => ellipses(alerts, selected), [alerts, selected]))
  useSource(shown?.map, 'own', useMemo(() => ownArea(own), [own]))

  useEffect(() => {
    const choose = (id: string) => select.current?.(id)
    shown?.markers.show([
      ...alerts.map((alert) => alertMarker(alert, alertLabel(alert, t, language), alert.id === selected, choose)),
      ...drones.flatMap((drone) => droneMarker(drone, t('map.droneLabel', { name: drone.name }))),
      ...ownMarker(own, t('map.you')),
    ])
  }, [shown, alerts, drones, own, selected, t, language])

  const framed = useRef(false)
  const chosen = alerts.find((alert) => alert.id === selected)
  const chosenPlace = chosen && surroundings(chosen)
  const whole = useMemo(() => wholeOf(market, alerts, drones), [market, alerts, drones])
  useEffect(() => {
    if (shown === null || framed.current) return
    const frame = startAtSelected ? chosenPlace : whole
    if (!frame) return
    shown.map.fitBounds(frame, { padding: PADDING, animate: false, maxZoom: CLOSE_ZOOM })
    framed.current = true
    return () => {
      framed.current = false
    }
    // Framing is done once for each map; what moves later must not take the map out of the reader's hand.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [shown, whole === null, startAtSelected])

  useEffect(() => {
    if (shown === null || startAtSelected || !chosen) return
    shown.map.easeTo({ center: placeOf(chosen), zoom: Math.max(shown.map.getZoom(), CLOSE_ZOOM) })
    // Only a new choice moves the map.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [shown, selected])

  useWayInSight(shown?.map, own, startAtSelected ? chosen : undefined)

  return (
    <div className="map">
      <div className="map__canvas" ref={holder} data-ready={shown !== null} />
      <div className="map__buttons">
        <button type="button" aria-label={t('map.zoomIn')} title={t('map.zoomIn')} onClick={() => shown?.map.zoomIn()}>
          +
        </button>
        <button type="button" aria-label={t('map.zoomOut')} title={t('map.zoomOut')} onClick={() => shown?.map.zoomOut()}>
          −
        </button>
        <button
          type="button"
          aria-label={t('map.whole')}
          title={t('map.whole')}
          onClick={() => {
            if (whole !== null) shown?.map.fitBounds(whole, { padding: PADDING, maxZoom: CLOSE_ZOOM })
          }}
        >
          ⤢
        </button>
      </div>
      {children}
    </div>
  )
}

/** Once the officer's own position is known, both ends of the way are in sight. */
function useWayInSight(map: MapLibreMap | undefined, own: OwnPosition | null, target: Alert | undefined): void {
  const known = own !== null
  useEffect(() => {
    if (own === null || !target || distanceAndBearing(own.at, placeOf(target)).distanceM > WALK_M) return
    const both = bounds([own.at, placeOf(target)])
    if (both !== null) map?.fitBounds(both, { padding: 2 * PADDING, maxZoom: CLOSE_ZOOM })
    // Only when the position becomes known: afterwards the map belongs to the officer's fingers.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [map, known])
}

function useSource(map: MapLibreMap | undefined, name: SourceName, data: GeoJSON.FeatureCollection | null): void {
  useEffect(() => {
    if (data !== null) map?.getSource<GeoJSONSource>(name)?.setData(data)
  }, [map, name, data])
}

function alertLabel(alert: Alert, t: TFunction, language: Language): string {
  return [
    t(`kind.${alert.kind}`),
    t(`severity.${alert.severity}`),
    alert.place.name[language],
    t(`state.${alert.state}`),
  ].join(', ')
}

function surroundings(alert: Alert): [LonLat, LonLat] | null {
  return bounds(circleRing(placeOf(alert), Math.max(SURROUNDINGS_M, 2 * alert.position.radius_m_90)))
}

function wholeOf(
  market: Props['market'],
  alerts: readonly Alert[],
  drones: readonly DroneOnMap[],
): [LonLat, LonLat] | null {
  if (market === undefined) return null
  if (market !== null) return bounds(market.features.flatMap((feature) => [...positionsOf(feature.geometry)]))
  return bounds([...alerts.map(placeOf), ...drones.flatMap(({ at }) => (at === null ? [] : [at]))])
}
