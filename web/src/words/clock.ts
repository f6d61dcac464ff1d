/** Times for people: the reader's own zone, ages counted on a clock that ticks for all of the page at once. */

import { useSyncExternalStore } from 'react'

import { useWords } from '../i18n'
import { age } from './age'

const TICK_MS = 500
const listeners = new Set<() => void>()
let nowMs = Date.now()
let timer: ReturnType<typeof setInterval> | undefined

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  timer ??= setInterval(() => {
    nowMs = Date.now()
    for (const tell of listeners) tell()
  }, TICK_MS)
  return () => {
    listeners.delete(listener)
    if (listeners.size === 0) {
      clearInterval(timer)
      timer = undefined
    }
  }
}

/** The time now in milliseconds, to half a second. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, () => nowMs)
}

/** Formatters in the chosen language. */
export function useTimes() {
  const { t, tag } = useWords()
  return {
    /** 22:14:05 today, with the date on other days. */
    clock: (time: string | number) => {
      const date = new Date(time)
      const sameDay = date.toDateString() === new Date().toDateString()
      return new Intl.DateTimeFormat(tag, {
        ...(sameDay ? {} : { month: 'short', day: 'numeric' }),
        hour: '2-digit',
        minute: '2-digit',
        second: '2-digit',
        hourCycle: 'h23',
      }).format(date)
    },
    ago: (seconds: number) => {
      const { unit, count } = age(seconds)
      return t(`age.${unit}`, { count })
    },
  }
}
