/** A short sound and a shake for a new alert, as far as the phone permits and the officer wants. */

import { useCallback, useEffect, useState } from 'react'

const REMEMBERED = 'night-patrol.sound'
const SHAKE_MS = [220, 90, 220]
/** Two rising tones (A5, E6): heard over a street, gone in half a second. */
const TONES_HZ = [880, 1318.5]
const TONE_S = 0.18
const LOUDNESS = 0.35

let audio: AudioContext | null = null

/** Phones let a page sound only after the first touch: prepare then. */
function prepareSound(): void {
  audio ??= new AudioContext()
  if (audio.state === 'suspended') void audio.resume()
}

function chime(): void {
  if (audio?.state !== 'running') return
  for (const [step, hertz] of TONES_HZ.entries()) {
    const start = audio.currentTime + step * TONE_S
    const gain = audio.createGain()
    gain.gain.setValueAtTime(LOUDNESS, start)
    gain.gain.exponentialRampToValueAtTime(0.001, start + TONE_S * 1.5)
    gain.connect(audio.destination)
    const tone = audio.createOscillator()
    tone.frequency.value = hertz
    tone.connect(gain)
    tone.start(start)
    tone.stop(start + TONE_S * 1.5)
  }
}

function remembered(): boolean {
  try {
    return localStorage.getItem(REMEMBERED) !== 'off'
  } catch {
    return true
  }
}

export function useAttention(): { sound: boolean; toggleSound: () => void; call: () => void } {
  const [sound, setSound] = useState(remembered)

  useEffect(() => {
    document.addEventListener('pointerdown', prepareSound)
    document.addEventListener('keydown', prepareSound)
    return () => {
      document.removeEventListener('pointerdown', prepareSound)
      document.removeEventListener('keydown', prepareSound)
    }
  }, [])

  const toggleSound = useCallback(() => {
    setSound((before) => {
      try {
        localStorage.setItem(REMEMBERED, before ? 'off' : 'on')
      } catch {
        // The choice lasts as long as the page.
      }
      return !before
    })
  }, [])

  const call = useCallback(() => {
    // Asking before the first touch is refused, with a complaint in the browser's log.
    const touched = (navigator as Partial<Navigator>).userActivation?.hasBeenActive ?? false
    if (touched && 'vibrate' in navigator) navigator.vibrate(SHAKE_MS)
    if (sound) chime()
  }, [sound])

  return { sound, toggleSound, call }
}
