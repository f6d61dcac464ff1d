import { useSyncExternalStore } from 'react'

const PREFIX = '#/alerts/'

function subscribe(listener: () => void): () => void {
  window.addEventListener('hashchange', listener)
  return () => {
    window.removeEventListener('hashchange', listener)
  }
}

/** Which alert is open, kept in the address so that the phone's back key leads to the list. */
export function useOpenAlert(): string | null {
  const hash = useSyncExternalStore(subscribe, () => location.hash)
  return hash.startsWith(PREFIX) ? decodeURIComponent(hash.slice(PREFIX.length)) : null
}

export function openAlert(id: string): void {
  location.hash = PREFIX + encodeURIComponent(id)
}

export function closeAlert(): void {
  location.hash = '#/'
}
