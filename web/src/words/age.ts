/** How long ago something was, in the few words that fit on a phone. */

export type AgeUnit = 'now' | 'seconds' | 'minutes' | 'hours' | 'days'

export interface Age {
  unit: AgeUnit
  count: number
}

const NOW_BELOW_S = 5

export function age(seconds: number): Age {
  const whole = Math.max(0, Math.floor(seconds))
  if (whole < NOW_BELOW_S) return { unit: 'now', count: 0 }
  if (whole < 60) return { unit: 'seconds', count: whole }
  if (whole < 3600) return { unit: 'minutes', count: Math.floor(whole / 60) }
  if (whole < 86_400) return { unit: 'hours', count: Math.floor(whole / 3600) }
  return { unit: 'days', count: Math.floor(whole / 86_400) }
}

/** Seconds from an ISO time to `nowMs`, never negative: a clock that runs ahead reads as "just now". */
export function secondsSince(iso: string, nowMs: number): number {
  return Math.max(0, (nowMs - Date.parse(iso)) / 1000)
}
