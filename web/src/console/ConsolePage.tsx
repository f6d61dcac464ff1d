/** The operator's desk: aircraft above, alerts left, map in the middle, picture and the chosen alert right. */

import './ConsolePage.css'

import { lazy, Suspense, useMemo, useState } from 'react'

import { useAcknowledge } from '../alerts/acknowledge'
import { AlertFacts } from '../alerts/AlertFacts'
import { AlertRow } from '../alerts/AlertRow'
import { inReadingOrder, isWaiting } from '../alerts/order'
import { TakeBar } from '../alerts/TakeBar'
import type { Alert } from '../api/types'
import type { Drone } from '../api/feed'
import { ErrorBoundary } from '../app/ErrorBoundary'
import { useMarket } from '../app/market'
import { OfflineBar } from '../app/OfflineBar'
import { useFeed, useSession } from '../app/session'
import { useTitle } from '../app/title'
import { useNews } from '../app/useNews'
import { Button, Empty, Header, LanguageSwitch, LinkBadge, Note } from '../design/components'
import { useWords } from '../i18n'
import type { DroneOnMap } from '../map/data'
import { useNow } from '../words/clock'
import { FlightBar } from './FlightBar'
import { agesOf, isStale } from './freshness'
import { MapLegend } from './MapLegend'
import { PicturePanel } from './PicturePanel'

const MapView = lazy(() => import('../map/MapView'))

export default function ConsolePage() {
  const { t } = useWords()
  const { user, signOut } = useSession()
  const { alerts: byId, drones: byName, link, loaded } = useFeed()
  const market = useMarket()
  const now = useNow()
  const [selected, setSelected] = useState<string | null>(null)
  const [wanted, setWanted] = useState<string | null>(null)
  const { fresh, announcement } = useNews()

  const alerts = useMemo(() => inReadingOrder(byId.values()), [byId])
  const waiting = alerts.filter(isWaiting).length
  const names = useMemo(() => [...byName.keys()].sort(), [byName])
  const drone = byName.get(wanted ?? '') ?? byName.get(names[0] ?? '')
  const chosen = byId.get(selected ?? '') ?? null
  const dronesOnMap = useDronesOnMap(byName, now)
  useTitle(`${waiting > 0 ? `(${waiting}) ` : ''}${t('app.console')} · ${t('app.name')}`)

  return (
    <div className="console">
      <Header page={t('app.console')}>
        <LinkBadge link={link} />
        <LanguageSwitch />
        <Button look="quiet" title={t('login.user', { name: user.name })} onClick={() => void signOut()}>
          {t('login.out')}
        </Button>
      </Header>
      <div className="console__status">
        <OfflineBar />
        {drone ? (
          <FlightBar drone={drone} names={names} ages={agesOf(drone, now)} onChoose={setWanted} />
        ) : (
          <section className="console__no-drone" aria-label={t('flight.title')}>
            {loaded && (
              <>
                <strong>{t('flight.none')}</strong> {t('flight.noneHint')}
              </>
            )}
          </section>
        )}
      </div>

      <AlertList alerts={alerts} waiting={waiting} loaded={loaded} fresh={fresh} selected={chosen} onSelect={setSelected} />

      <main className="console__map" aria-label={t('map.title')}>
        <ErrorBoundary fallback={<Empty title={t('error.map')} />}>
          <Suspense fallback={<Empty title={t('error.loading')} />}>
            <MapView market={market} alerts={alerts} drones={dronesOnMap} selected={selected} onSelect={setSelected}>
              <MapLegend />
              {market === null && (
                <div className="console__map-note">
                  <Note tone="warn">{t('error.market')}</Note>
                </div>
              )}
            </MapView>
          </Suspense>
        </ErrorBoundary>
      </main>

      <aside className="console__side" aria-label={t('picture.title')}>
        {drone && <PicturePanel key={drone.live.drone} drone={drone} brief={chosen !== null} />}
        {chosen && <Detail key={chosen.id} alert={chosen} onClose={() => { setSelected(null) }} />}
      </aside>
      <p className="visually-hidden" role="status">
        {announcement}
      </p>
    </div>
  )
}

interface ListProps {
  alerts: readonly Alert[]
  waiting: number
  loaded: boolean
  fresh: ReadonlySet<string>
  selected: Alert | null
  onSelect: (id: string | null) => void
}

function AlertList({ alerts, waiting, loaded, fresh, selected, onSelect }: ListProps) {
  const { t } = useWords()
  return (
    <section className="console__alerts" aria-label={t('alerts.title')}>
      <h1>
        {t('alerts.title')} <span>{t('alerts.waiting', { count: waiting })}</span>
      </h1>
      {loaded && alerts.length === 0 && <Empty title={t('alerts.none')}>{t('alerts.noneHint')}</Empty>}
      {/* Keys work inside the list only, so that they never surprise anybody who types elsewhere. */}
      <ul
        onKeyDown={(event) => {
          if (event.ctrlKey || event.metaKey || event.altKey) return
          const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
          if (step !== undefined) {
            event.preventDefault()
            moveFocus(event.currentTarget, step)
          } else if (event.key === 'Escape') onSelect(null)
        }}
      >
        {alerts.map((alert) => (
          <ListItem key={alert.id} alert={alert} fresh={fresh.has(alert.id)} selected={alert.id === selected?.id} onSelect={onSelect} />
        ))}
      </ul>
      {alerts.length > 0 && <p className="console__keys">{t('alerts.keys')}</p>}
    </section>
  )
}

interface ItemProps {
  alert: Alert
  fresh: boolean
  selected: boolean
  onSelect: (id: string) => void
}

function ListItem({ alert, fresh, selected, onSelect }: ItemProps) {
  const acknowledge = useAcknowledge(alert)
  return (
    <li
      onKeyDown={(event) => {
        const plain = !event.ctrlKey && !event.metaKey && !event.altKey
        if (plain && event.key.toLowerCase() === 'a' && isWaiting(alert) && !acknowledge.isPending) {
          onSelect(alert.id)
          acknowledge.mutate()
        }
      }}
    >
      <AlertRow alert={alert} fresh={fresh} selected={selected} onOpen={() => { onSelect(alert.id) }} />
    </li>
  )
}

function moveFocus(list: HTMLElement, step: number): void {
  const rows = [...list.querySelectorAll<HTMLElement>('button')]
  const at = rows.indexOf(document.activeElement as HTMLElement)
  rows[Math.min(rows.length - 1, Math.max(0, at + step))]?.focus()
}

function Detail({ alert, onClose }: { alert: Alert; onClose: () => void }) {
  const { t } = useWords()
  return (
    <article className="console__detail" aria-label={t('alert.detail')}>
      <Button look="quiet" className="console__close" aria-label={t('alert.close')} onClick={onClose}>
        ✕
      </Button>
      <div className="console__facts">
        <AlertFacts alert={alert} />
      </div>
      <TakeBar alert={alert} />
    </article>
  )
}

function useDronesOnMap(drones: ReadonlyMap<string, Drone>, nowMs: number): readonly DroneOnMap[] {
  const stale = [...drones].map(([name, drone]) => `${name} ${isStale(agesOf(drone, nowMs).flightS)}`).join()
  return useMemo(
    () =>
      [...drones].map(([name, drone]) => {
        const { flight } = drone.live
        return {
          name,
          at: flight?.lat_deg == null || flight.lon_deg === null ? null : [flight.lon_deg, flight.lat_deg],
          headingDeg: flight?.heading_deg ?? null,
          stale: stale.split(',').includes(`${name} true`),
          drone,
        }
      }),
    [drones, stale],
  )
}
