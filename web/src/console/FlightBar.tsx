import './FlightBar.css'

import type { ReactNode } from 'react'

import type { Drone } from '../api/feed'
import { useWords } from '../i18n'
import { useTimes } from '../words/clock'
import { type Ages, isStale } from './freshness'

interface Props {
  drone: Drone
  names: readonly string[]
  ages: Ages
  onChoose: (name: string) => void
}

const LOW_BATTERY_PERCENT = 25
const TROUBLE = new Set(['aborted', 'lost_contact'])

/** The aircraft in one line. A value that is not known is a dash; a value that is old is grey and says so. */
export function FlightBar({ drone, names, ages, onChoose }: Props) {
  const { t, tag } = useWords()
  const { ago } = useTimes()
  const { flight } = drone.live
  const stale = isStale(ages.flightS)
  const number = (value: number | null | undefined, unit: string, digits = 0) =>
    value === null || value === undefined
      ? t('flight.unknown')
      : `${new Intl.NumberFormat(tag, { maximumFractionDigits: digits, minimumFractionDigits: digits }).format(value)} ${unit}`
  const battery = flight?.battery_percent
  const low = typeof battery === 'number' && battery < LOW_BATTERY_PERCENT

  return (
    <section className={`flight-bar ${stale ? 'is-stale' : ''}`} aria-label={t('flight.title')}>
      <Item name={t('flight.drone')}>
        {names.length > 1 ? (
          <select
            aria-label={t('flight.drone')}
            value={drone.live.drone}
            onChange={(event) => {
              onChoose(event.target.value)
            }}
          >
            {names.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        ) : (
          drone.live.drone
        )}
      </Item>
      <Item name={t('flight.state')} wide tone={flight && TROUBLE.has(flight.state) ? 'bad' : undefined} hint={flight?.reason}>
        {flight ? t(`sortie.${flight.state}`) : t('flight.noFlight')}
      </Item>
      <Item name={t('flight.mode')} hint={flight ? t(flight.armed ? 'flight.armed' : 'flight.disarmed') : undefined}>
        {flight?.mode ?? t('flight.unknown')}
      </Item>
      <Item name={t('flight.battery')} tone={low ? 'bad' : undefined}>
        {number(battery, '%')}
      </Item>
      <Item name={t('flight.height')} hint={t('flight.heightHint')}>
        {number(flight?.height_above_home_m, 'm', 1)}
      </Item>
      <Item name={t('flight.speed')}>{number(flight?.speed_mps, 'm/s', 1)}</Item>
      <Item name={t('flight.link')} tone={stale ? 'bad' : undefined}>
        {number(ages.reportS, 's', 1)}
      </Item>
      <p className="flight-bar__stale" role="status">
        {stale && flight ? t('flight.stale', { age: ago(ages.flightS ?? 0) }) : ''}
      </p>
    </section>
  )
}

interface ItemProps {
  name: string
  hint?: string | undefined
  tone?: 'bad' | undefined
  wide?: boolean
  children: ReactNode
}

function Item({ name, hint, tone, wide = false, children }: ItemProps) {
  return (
    <div className={`flight-bar__item ${wide ? 'is-wide' : ''} ${tone === 'bad' ? 'is-bad' : ''}`}>
      <span>{name}</span>
      <strong>{children}</strong>
      {hint !== undefined && hint !== '' && <small title={hint}>{hint}</small>}
    </div>
  )
}
