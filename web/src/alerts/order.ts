import type { Alert } from '../api/types'

/** Open ones first; among equals the one raised last comes first. */
export function inReadingOrder(alerts: Iterable<Alert>): Alert[] {
  return [...alerts].sort(
    (a, b) => Number(isWaiting(b)) - Number(isWaiting(a)) || Date.parse(b.raised_at) - Date.parse(a.raised_at),
  )
}

/** Nobody has taken this alert yet. */
export function isWaiting(alert: Alert): boolean {
  return alert.state === 'open'
}

export const SEVERITY_RANK = { watch: 0, warning: 1, critical: 2 } as const

/** True when `after` deserves people's ears: it is new and open, or it has become worse. */
export function isNews(before: Alert | undefined, after: Alert): boolean {
  if (after.state === 'closed' || after.ended_at !== null) return false
  return before === undefined ? isWaiting(after) : SEVERITY_RANK[after.severity] > SEVERITY_RANK[before.severity]
}
