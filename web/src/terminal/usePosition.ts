import { useCallback, useEffect, useState } from 'react'

import { useWords } from '../i18n'
import type { OwnPosition } from '../map/data'

export interface Locating {
  own: OwnPosition | null
  /** A sentence when there is no position though it was asked for; empty otherwise. */
  trouble: string
  asked: boolean
  ask: () => void
}

/** The officer's own position: asked for by a tap, kept on the phone, sent nowhere. */
export function usePosition(): Locating {
  const { t } = useWords()
  const [asked, setAsked] = useState(false)
  const [own, setOwn] = useState<OwnPosition | null>(null)
  const [refusal, setRefusal] = useState<string | null>(null)
  const ask = useCallback(() => {
    setAsked(true)
  }, [])

  useEffect(() => {
    if (!asked) return
    // Absent on connections that are not secure.
    const geolocation = (navigator as Partial<Navigator>).geolocation
    if (geolocation === undefined) return
    const watch = geolocation.watchPosition(
      ({ coords }) => {
        setOwn({ at: [coords.longitude, coords.latitude], accuracyM: coords.accuracy })
        setRefusal(null)
      },
      (error) => {
        setRefusal(error.message || `${error.code}`)
        // Refused: the next tap asks again.
        if (error.code === error.PERMISSION_DENIED) setAsked(false)
      },
      { enableHighAccuracy: true, maximumAge: 10_000, timeout: 20_000 },
    )
    return () => {
      geolocation.clearWatch(watch)
    }
  }, [asked])

  const unsupported = asked && (navigator as Partial<Navigator>).geolocation === undefined
  const words = unsupported ? t('map.locateUnsupported') : refusal
  return { own, asked, ask, trouble: words !== null && own === null ? t('map.locateDenied', { words }) : '' }
}
