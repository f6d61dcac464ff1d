/** The officer's phone: a list, one alert, one thing to do. */

import './TerminalPage.css'

import { useEffect, useMemo, useRef } from 'react'

import { AlertRow } from '../alerts/AlertRow'
import { inReadingOrder, isWaiting } from '../alerts/order'
import type { Alert } from '../api/types'
import { OfflineBar } from '../app/OfflineBar'
import { useFeed, useSession } from '../app/session'
import { useTitle } from '../app/title'
import { useNews } from '../app/useNews'
import { Button, Empty, Header, LanguageSwitch, LinkBadge, Note } from '../design/components'
import { useWords } from '../i18n'
import { AlertPage } from './AlertPage'
import { useAttention } from './attention'
import { usePosition } from './usePosition'
import { closeAlert, openAlert, useOpenAlert } from './useRoute'

export default function TerminalPage() {
  const { t } = useWords()
  const { alerts: byId, link, loaded } = useFeed()
  const attention = useAttention()
  const { fresh, announcement } = useNews(attention.call)
  const locating = usePosition()
  const open = useOpenAlert()
  const alerts = useMemo(() => inReadingOrder(byId.values()), [byId])
  const waiting = alerts.filter(isWaiting).length
  const alert = byId.get(open ?? '')
  useTitle(`${waiting > 0 ? `(${waiting}) ` : ''}${t('app.name')}`)
  const list = useRef({ scroll: 0, last: null as string | null })

  // Back in the list: the same place, and the keyboard on the alert that was open.
  useEffect(() => {
    if (open !== null) {
      list.current.last = open
      window.scrollTo(0, 0)
      return
    }
    window.scrollTo(0, list.current.scroll)
    if (list.current.last !== null) {
      document.querySelector<HTMLElement>(`[data-alert="${CSS.escape(list.current.last)}"]`)?.focus({ preventScroll: true })
    }
  }, [open])

  return (
    <div className="terminal">
      <Header page={t('app.terminal')}>
        <LinkBadge link={link} />
        <LanguageSwitch />
      </Header>
      <OfflineBar />
      {open === null ? (
        <List
          alerts={alerts}
          waiting={waiting}
          loaded={loaded}
          fresh={fresh}
          onOpen={(id) => {
            list.current.scroll = window.scrollY
            openAlert(id)
          }}
          sound={attention.sound}
          onToggleSound={attention.toggleSound}
        />
      ) : alert ? (
        <AlertPage key={alert.id} alert={alert} locating={locating} />
      ) : (
        loaded && (
          <main className="terminal__gone">
            <Note tone="warn">{t('alert.gone')}</Note>
            <Button onClick={closeAlert}>{t('alert.back')}</Button>
          </main>
        )
      )}
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
  onOpen: (id: string) => void
  sound: boolean
  onToggleSound: () => void
}

function List({ alerts, waiting, loaded, fresh, onOpen, sound, onToggleSound }: ListProps) {
  const { t } = useWords()
  const { user, signOut } = useSession()
  const groups = [
    { name: t('alerts.open'), rows: alerts.slice(0, waiting) },
    { name: t('alerts.handled'), rows: alerts.slice(waiting) },
  ]
  return (
    <main className="terminal__list">
      <h1 className="visually-hidden">{t('alerts.title')}</h1>
      {!loaded && <Empty title={t('error.loading')} />}
      {loaded && waiting === 0 && <Empty title={t('alerts.none')}>{t('alerts.noneHint')}</Empty>}
      {groups.map(
        ({ name, rows }) =>
          rows.length > 0 && (
            <section key={name} aria-label={name}>
              <h2>
                {name} <span>{rows.length}</span>
              </h2>
              <ul>
                {rows.map((alert) => (
                  <li key={alert.id}>
                    <AlertRow alert={alert} fresh={fresh.has(alert.id)} onOpen={() => { onOpen(alert.id) }} />
                  </li>
                ))}
              </ul>
            </section>
          ),
      )}
      <footer className="terminal__footer">
        <Button look="quiet" aria-pressed={sound} onClick={onToggleSound}>
          {t(sound ? 'sound.on' : 'sound.off')}
        </Button>
        <span>{user.name}</span>
        <Button look="quiet" onClick={() => void signOut()}>
          {t('login.out')}
        </Button>
      </footer>
    </main>
  )
}
