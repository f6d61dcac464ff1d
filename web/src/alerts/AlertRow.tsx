import './AlertRow.css'

import type { Alert } from '../api/types'
import { SeverityBadge, StateTag } from '../design/components'
import { useWords } from '../i18n'
import { secondsSince } from '../words/age'
import { useNow, useTimes } from '../words/clock'
import { isWaiting } from './order'

interface Props {
  alert: Alert
  selected?: boolean
  fresh?: boolean
  onOpen: () => void
}

/** One alert in a list: how bad, what, where, how old, and whether somebody has it. */
export function AlertRow({ alert, selected = false, fresh = false, onOpen }: Props) {
  const { t, local } = useWords()
  const { ago } = useTimes()
  const now = useNow()
  return (
    <button
      type="button"
      className={`alert-row is-${alert.severity} ${isWaiting(alert) ? 'is-waiting' : ''} ${fresh ? 'is-fresh' : ''}`}
      aria-current={selected}
      data-alert={alert.id}
      onClick={onOpen}
    >
      <span className="alert-row__top">
        <SeverityBadge severity={alert.severity} />
        <span className="alert-row__age">{ago(secondsSince(alert.raised_at, now))}</span>
      </span>
      <span className="alert-row__what">{t(`kind.${alert.kind}`)}</span>
      <span className="alert-row__where">{local(alert.place.name) || t('alert.noPlace')}</span>
      <span className="alert-row__bottom">
        <StateTag state={alert.state} />
        {alert.acknowledged_by !== null && <span>{alert.acknowledged_by}</span>}
        {alert.ended_at !== null && <span>{t('alerts.over')}</span>}
      </span>
    </button>
  )
}
