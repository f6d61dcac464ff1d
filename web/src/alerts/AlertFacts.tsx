/** All that is known of one alert, in the order in which an officer asks. */

import './AlertFacts.css'

import { type ReactNode, useState } from 'react'

import type { Alert, Evidence } from '../api/types'
import { useSession } from '../app/session'
import { Button, SeverityBadge, StateTag } from '../design/components'
import { useWords } from '../i18n'
import { secondsSince } from '../words/age'
import { useNow, useTimes } from '../words/clock'
import { likelihood } from '../words/likelihood'
import { figure, figures } from '../words/measure'

interface Props {
  alert: Alert
  /** Stands after the picture: the terminal's map. */
  children?: ReactNode
}

export function AlertFacts({ alert, children }: Props) {
  const { t, local, tag } = useWords()
  const { ago, clock } = useTimes()
  const now = useNow()
  const percent = new Intl.NumberFormat(tag, { style: 'percent' }).format(alert.confidence)
  const radius = Math.max(1, Math.ceil(alert.position.radius_m_90))
  return (
    <div className="facts">
      <div className="facts__badges">
        <SeverityBadge severity={alert.severity} />
        <StateTag state={alert.state} />
      </div>
      <h2 className="facts__what">{t(`kind.${alert.kind}`)}</h2>
      <p className="facts__where">{local(alert.place.name) || t('alert.noPlace')}</p>
      <p className="facts__within">{t('alert.within', { radius })}</p>
      {local(alert.instruction) !== '' && <p className="facts__instruction">{local(alert.instruction)}</p>}

      <dl className="facts__grid">
        <Fact name={t('alert.raised')} value={ago(secondsSince(alert.raised_at, now))} hint={clock(alert.raised_at)} />
        <Fact
          name={t('alert.sure')}
          value={t(`likelihood.${likelihood(alert.confidence)}`)}
          hint={`${percent} · ${t(`verification.${alert.verification}`)}`}
        />
        {figures(alert.measure).map(([key, value]) => (
          <Measured key={key} name={key} value={value} />
        ))}
      </dl>
      {alert.ended_at !== null && <p className="facts__over">{t('alert.over', { time: clock(alert.ended_at) })}</p>}

      <Pictures evidence={alert.evidence} />
      {children}

      <h3>{t('alert.coordinates')}</h3>
      {[alert.position, alert.position_gcj02, alert.position_bd09].map(({ datum, lat, lon }) => (
        <Coordinates key={datum} system={t(`datum.${datum}`)} lat={lat} lon={lon} />
      ))}

      <h3>{t('alert.history')}</h3>
      <ol className="facts__history">
        {[...alert.history].reverse().map((step) => (
          <li key={`${step.revision} ${step.at} ${step.action}`}>
            <time dateTime={step.at}>{clock(step.at)}</time>
            <span>
              {t(`history.${step.action}`)} · {step.actor}
              {step.note && <em>{step.note}</em>}
            </span>
          </li>
        ))}
      </ol>
      <p className="facts__source">
        {t('alert.source')}: {t('alert.sourceValue', { drone: alert.source.drone, sortie: alert.source.sortie })} ·{' '}
        {alert.source.model}
      </p>
    </div>
  )
}

function Fact({ name, value, hint }: { name: string; value: string; hint?: string | undefined }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        <strong>{value}</strong>
        {hint !== undefined && <small>{hint}</small>}
      </dd>
    </div>
  )
}

function Measured({ name, value }: { name: string; value: number }) {
  const { t, tag } = useWords()
  const { plainName, value: number, unit } = figure(name, value, tag)
  const label = t(`measure.${name as 'people'}`, { defaultValue: plainName })
  // The camera cannot see everyone in a crowd.
  const words = name === 'people' ? t('alert.atLeast', { value: number }) : unit === null ? number : t(`unit.${unit}`, { value: number })
  return <Fact name={label} value={words} />
}

function Pictures({ evidence }: { evidence: readonly Evidence[] }) {
  const { t } = useWords()
  const pictures = evidence.filter(({ media_type }) => media_type.startsWith('image/'))
  if (pictures.length === 0) return <p className="facts__no-picture">{t('alert.pictureNone')}</p>
  return pictures.map((picture) => <Picture key={`${picture.sha256} ${picture.available}`} picture={picture} />)
}

function Picture({ picture }: { picture: Evidence }) {
  const { t } = useWords()
  const [failed, setFailed] = useState(false)
  const caption = t(picture.redacted ? 'alert.picture' : 'alert.pictureClear')
  const trouble = !picture.available ? t('alert.picturePending') : failed ? t('alert.pictureFailed') : null
  return (
    <figure className="facts__picture">
      {trouble === null ? (
        <a href={picture.url} target="_blank" rel="noreferrer">
          <img
            src={picture.url}
            alt={caption}
            onError={() => {
              setFailed(true)
            }}
          />
        </a>
      ) : (
        <p>{trouble}</p>
      )}
      <figcaption>{caption}</figcaption>
    </figure>
  )
}

function Coordinates({ system, lat, lon }: { system: string; lat: number; lon: number }) {
  const { t } = useWords()
  const [done, setDone] = useState<'copied' | 'copyFailed' | null>(null)
  const text = `${lat.toFixed(6)}, ${lon.toFixed(6)}`
  const copy = async () => {
    // Browsers offer the clipboard on secure connections only.
    const clipboard = navigator.clipboard as Clipboard | undefined
    try {
      if (clipboard === undefined) throw new Error('no clipboard here')
      await clipboard.writeText(text)
      setDone('copied')
    } catch {
      setDone('copyFailed')
    }
  }
  return (
    <div className="facts__coordinates">
      <span>
        <small>{system}</small>
        <code>{text}</code>
      </span>
      <Button size="small" aria-label={t('alert.copyLabel', { system })} onClick={() => void copy()}>
        {t(done === 'copied' ? 'alert.copied' : 'alert.copy')}
      </Button>
      <span className={done === 'copyFailed' ? 'facts__copy-failed' : 'visually-hidden'} role="status">
        {done === null ? '' : t(`alert.${done}`)}
      </span>
    </div>
  )
}

/** Who has the alert, in a sentence; null while nobody has. */
export function useTakenWords(alert: Alert): string | null {
  const { t } = useWords()
  const { clock } = useTimes()
  const { user } = useSession()
  if (alert.acknowledged_by === null || alert.acknowledged_at === null) return null
  const time = clock(alert.acknowledged_at)
  const name = alert.acknowledged_by
  return name === user.username || name === user.name ? t('alert.takenByYou', { time }) : t('alert.takenBy', { name, time })
}
