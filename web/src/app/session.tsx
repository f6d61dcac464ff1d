/** Who is there, and the feed that runs while somebody is. */

import { useQuery, useQueryClient } from '@tanstack/react-query'
import { createContext, type ReactNode, useContext, useEffect, useState, useSyncExternalStore } from 'react'

import { isSignedOut, station } from '../api/client'
import { Feed, type FeedState } from '../api/feed'
import { openStream } from '../api/stream'
import type { User } from '../api/types'
import { Button, Note } from '../design/components'
import { useWords } from '../i18n'
import { useFailureWords } from './failure'
import { Loading } from './Loading'
import { LoginPage } from './LoginPage'

interface Session {
  user: User
  feed: Feed
  signOut: () => Promise<void>
}

const SessionContext = createContext<Session | null>(null)

export function useSession(): Session {
  const session = useContext(SessionContext)
  if (session === null) throw new Error('useSession outside SignedIn')
  return session
}

export function useFeed(): FeedState {
  const { feed } = useSession()
  return useSyncExternalStore(feed.subscribe, feed.snapshot)
}

const ME = ['me']

/** Shows the page to those who may see it, and the login to everybody else. */
export function SignedIn({ page, children }: { page: 'console' | 'terminal'; children: ReactNode }) {
  const { t } = useWords()
  const words = useFailureWords()
  const queries = useQueryClient()
  const [ended, setEnded] = useState(false)
  const me = useQuery({
    queryKey: ME,
    queryFn: async ({ signal }): Promise<User | null> => {
      try {
        return await station.me(signal)
      } catch (error) {
        if (isSignedOut(error)) return null
        throw error
      }
    },
  })

  const signOut = async () => {
    await station.logout().catch(() => undefined)
    setEnded(false)
    queries.clear()
    queries.setQueryData(ME, null)
  }

  if (me.isPending) return <Loading />
  if (me.isError) {
    return (
      <main className="page-message">
        <Note tone="bad" alert>
          {words(me.error)}
        </Note>
        <Button look="primary" onClick={() => void me.refetch()}>
          {t('error.retry')}
        </Button>
      </main>
    )
  }
  const user = me.data
  if (user === null) {
    return (
      <LoginPage
        page={page}
        ended={ended}
        onLogin={(who) => {
          queries.setQueryData(ME, who)
        }}
      />
    )
  }
  if (user.role === 'edge' || (page === 'console' && user.role !== 'operator')) {
    return (
      <main className="page-message">
        <Note tone="warn">
          {user.role === 'edge' ? t('login.peopleOnly') : t('login.operatorsOnly', { name: user.name })}
        </Note>
        {user.role === 'officer' && (
          <a className="button button--primary" href="/terminal">
            {t('login.goToTerminal')}
          </a>
        )}
        <Button onClick={() => void signOut()}>{t('login.otherAccount')}</Button>
      </main>
    )
  }
  return (
    <FeedRunner
      key={user.username}
      user={user}
      watchesDrones={page === 'console'}
      signOut={signOut}
      onSignedOut={() => {
        setEnded(true)
        queries.setQueryData(ME, null)
      }}
    >
      {children}
    </FeedRunner>
  )
}

interface RunnerProps {
  user: User
  watchesDrones: boolean
  signOut: () => Promise<void>
  onSignedOut: () => void
  children: ReactNode
}

function FeedRunner({ user, watchesDrones, signOut, onSignedOut, children }: RunnerProps) {
  const [feed] = useState(
    () =>
      new Feed(
        {
          readAlerts: station.alerts,
          readLive: watchesDrones ? station.live : null,
          openStream,
          nowMs: Date.now,
          random: Math.random,
        },
        onSignedOut,
      ),
  )

  useEffect(() => {
    feed.start()
    const look = () => {
      if (document.visibilityState === 'visible') feed.nudge()
    }
    // A browser that goes offline leaves open streams as they are: ask the station.
    window.addEventListener('offline', feed.nudge)
    window.addEventListener('online', feed.nudge)
    document.addEventListener('visibilitychange', look)
    return () => {
      window.removeEventListener('offline', feed.nudge)
      window.removeEventListener('online', feed.nudge)
      document.removeEventListener('visibilitychange', look)
      feed.stop()
    }
  }, [feed])

  return <SessionContext value={{ user, feed, signOut }}>{children}</SessionContext>
}
