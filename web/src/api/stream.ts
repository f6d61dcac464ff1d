import { API } from './client'
import type { StreamHandlers } from './feed'
import type { Alert, LiveState } from './types'

/** Opens the station's event stream. Any error ends it: the feed decides what comes next, not the browser. */
export function openStream(after: string | null, handlers: StreamHandlers): { close: () => void } {
  const query = after === null ? '' : `?${new URLSearchParams({ after })}`
  const source = new EventSource(`${API}/stream${query}`)
  source.onopen = handlers.opened
  source.onerror = () => {
    source.close()
    handlers.failed()
  }
  source.addEventListener('alert', (event: MessageEvent<string>) => {
    handlers.alert(JSON.parse(event.data) as Alert)
  })
  source.addEventListener('live', (event: MessageEvent<string>) => {
    handlers.live(JSON.parse(event.data) as LiveState)
  })
  return {
    close: () => {
      source.close()
    },
  }
}
