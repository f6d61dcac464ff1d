import { useEffect, useState } from 'react'

import { useWords } from '../i18n'
import type { Alert } from '../api/types'
import { useSession } from './session'

const FRESH_MS = 10_000
const NONE: ReadonlySet<string> = new Set()

/** Alerts that have just come: for the eye as a set, for the screen reader in words, for the rest by `tell`. */
export function useNews(tell?: (alert: Alert) => void): { fresh: ReadonlySet<string>; announcement: string } {
  const { feed } = useSession()
  const { t, local } = useWords()
  const [fresh, setFresh] = useState(NONE)
  const [latest, setLatest] = useState<Alert | null>(null)

  useEffect(() => {
    const timers = new Set<ReturnType<typeof setTimeout>>()
    const stop = feed.onNews((alert) => {
      setLatest(alert)
      setFresh((before) => new Set(before).add(alert.id))
      timers.add(
        setTimeout(() => {
          setFresh((before) => new Set([...before].filter((id) => id !== alert.id)))
        }, FRESH_MS),
      )
      tell?.(alert)
    })
    return () => {
      stop()
      for (const timer of timers) clearTimeout(timer)
    }
  }, [feed, tell])

  const announcement =
    latest === null
      ? ''
      : t('alerts.new', {
          kind: t(`kind.${latest.kind}`),
          severity: t(`severity.${latest.severity}`),
          place: local(latest.place.name) || t('alert.noPlace'),
        })
  return { fresh, announcement }
}
