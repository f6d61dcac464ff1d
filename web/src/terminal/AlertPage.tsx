import { lazy, Suspense, useEffect, useMemo, useRef } from 'react'

import { AlertFacts } from '../alerts/AlertFacts'
import { TakeBar } from '../alerts/TakeBar'
import type { Alert } from '../api/types'
import { ErrorBoundary } from '../app/ErrorBoundary'
import { useMarket } from '../app/market'
import { Button, Empty } from '../design/components'
import { useWords } from '../i18n'
import { placeOf } from '../map/data'
import { compassPoint, distanceAndBearing } from '../map/geometry'
import type { Locating } from './usePosition'
import { closeAlert } from './useRoute'

const MapView = lazy(() => import('../map/MapView'))

export function AlertPage({ alert, locating }: { alert: Alert; locating: Locating }) {
  const { t } = useWords()
  const market = useMarket()
  const top = useRef<HTMLElement>(null)
  const shown = useMemo(() => [alert], [alert])
  useEffect(() => {
    top.current?.focus({ preventScroll: true })
  }, [])
  return (
    <main className="terminal__alert" aria-label={t('alert.detail')} tabIndex={-1} ref={top}>
      <Button look="quiet" className="terminal__back" onClick={closeAlert}>
        ‹ {t('alert.back')}
      </Button>
      <h1 className="visually-hidden">{t('alert.detail')}</h1>
      <AlertFacts alert={alert}>
        <div className="terminal__map">
          <ErrorBoundary fallback={<Empty title={t('error.map')} />}>
            <Suspense fallback={<Empty title={t('error.loading')} />}>
              <MapView market={market} alerts={shown} own={locating.own} selected={alert.id} inScrollingPage startAtSelected />
            </Suspense>
          </ErrorBoundary>
        </div>
        <Whereabouts alert={alert} locating={locating} />
      </AlertFacts>
      <TakeBar alert={alert} />
    </main>
  )
}

/** How far it is from here, once the officer has asked for it. */
function Whereabouts({ alert, locating: { own, asked, ask, trouble } }: { alert: Alert; locating: Locating }) {
  const { t, tag } = useWords()
  if (own === null) {
    return (
      <div className="terminal__whereabouts">
        <Button onClick={ask} disabled={asked && trouble === ''}>
          {t(asked && trouble === '' ? 'map.locating' : 'map.locate')}
        </Button>
        <span role="status">{trouble}</span>
      </div>
    )
  }
  const { distanceM, bearingDeg } = distanceAndBearing(own.at, placeOf(alert))
  const far = distanceM >= 1000
  const distance = new Intl.NumberFormat(tag, {
    style: 'unit',
    unit: far ? 'kilometer' : 'meter',
    maximumFractionDigits: far ? 1 : 0,
  }).format(far ? distanceM / 1000 : distanceM)
  return (
    <p className="terminal__whereabouts">
      <strong>{t('map.away', { distance, direction: t(`compass.${compassPoint(bearingDeg)}`) })}</strong>
    </p>
  )
}
