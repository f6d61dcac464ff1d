import { useEffect, useState, useSyncExternalStore } from 'react'

import { API } from '../api/client'
import { type Part, readParts } from '../api/multipart'

export interface LivePicture {
  /** Address of the newest picture for an `img`, null before the first. */
  url: string | null
  /** Our clock when the station received it. */
  receivedAtMs: number
  /** The connection has broken and is being made again. */
  interrupted: boolean
}

const RETRY_MS = 2_000
/** Without a picture for so long the connection may be dead without knowing it. */
const SILENCE_MS = 30_000
const NOTHING: LivePicture = { url: null, receivedAtMs: 0, interrupted: false }

/** The pictures of a drone as they come, made anew whenever they stop; none are fetched while nobody looks. */
export function useLivePicture(drone: string): LivePicture {
  const [picture, setPicture] = useState(NOTHING)
  const visible = useSyncExternalStore(onVisibilityChange, () => document.visibilityState === 'visible')

  useEffect(() => {
    if (!visible) return
    const stopping = new AbortController()
    const stopped = () => stopping.signal.aborted
    const show = ({ body, ageMs }: Part) => {
      const url = URL.createObjectURL(new Blob([body], { type: 'image/jpeg' }))
      setPicture({ url, receivedAtMs: Date.now() - ageMs, interrupted: false })
    }
    const follow = async () => {
      while (!stopped()) {
        await receive(drone, stopping.signal, show).catch(() => undefined)
        if (stopped()) break
        setPicture((before) => ({ ...before, interrupted: true }))
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
      }
    }
    void follow()
    return () => {
      stopping.abort()
    }
  }, [drone, visible])

  const { url } = picture
  useEffect(() => {
    if (url === null) return
    return () => {
      // The picture stays on the screen until the next one is decoded.
      setTimeout(() => {
        URL.revokeObjectURL(url)
      }, RETRY_MS)
    }
  }, [url])

  return picture
}

function onVisibilityChange(listener: () => void): () => void {
  document.addEventListener('visibilitychange', listener)
  return () => {
    document.removeEventListener('visibilitychange', listener)
  }
}

/** Returns or throws when the pictures stop. */
async function receive(drone: string, signal: AbortSignal, show: (part: Part) => void): Promise<void> {
  const silence = new AbortController()
  const giveUp = () => {
    silence.abort()
  }
  let timer = setTimeout(giveUp, SILENCE_MS)
  try {
    const response = await fetch(`${API}/live/${encodeURIComponent(drone)}/picture.mjpeg`, {
      credentials: 'same-origin',
      signal: AbortSignal.any([signal, silence.signal]),
    })
    if (!response.ok || response.body === null) return
    for await (const part of readParts(response.body)) {
      clearTimeout(timer)
      timer = setTimeout(giveUp, SILENCE_MS)
      show(part)
    }
  } finally {
    clearTimeout(timer)
  }
}
