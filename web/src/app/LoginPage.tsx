import './LoginPage.css'

import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'

import { station } from '../api/client'
import type { User } from '../api/types'
import { Button, LanguageSwitch, Note } from '../design/components'
import { useWords } from '../i18n'
import { useFailureWords } from './failure'
import { useTitle } from './title'

interface Props {
  page: 'console' | 'terminal'
  /** The session ran out while the page was in use. */
  ended: boolean
  onLogin: (user: User) => void
}

export function LoginPage({ page, ended, onLogin }: Props) {
  const { t } = useWords()
  const words = useFailureWords()
  const [username, setUsername] = useState('')
  const [password, setPassword] = useState('')
  const login = useMutation({ mutationFn: () => station.login(username, password), onSuccess: onLogin })
  useTitle(`${t('login.title')} · ${t('app.name')}`)

  return (
    <main className="login">
      <form
        className="login__card"
        onSubmit={(event) => {
          event.preventDefault()
          login.mutate()
        }}
      >
        <img src="/assets/icon.svg" alt="" width="56" height="56" />
        <h1>
          {t('app.name')} <span>{t(`app.${page}`)}</span>
        </h1>
        {ended && <Note tone="warn">{t('login.ended')}</Note>}
        <label>
          {t('login.username')}
          <input
            name="username"
            autoComplete="username"
            autoCapitalize="none"
            spellCheck={false}
            required
            value={username}
            onChange={(event) => {
              setUsername(event.target.value)
            }}
          />
        </label>
        <label>
          {t('login.password')}
          <input
            name="password"
            type="password"
            autoComplete="current-password"
            required
            value={password}
            onChange={(event) => {
              setPassword(event.target.value)
            }}
          />
        </label>
        {login.isError && (
          <Note tone="bad" alert>
            {words(login.error)}
          </Note>
        )}
        <Button look="primary" size="big" type="submit" disabled={login.isPending}>
          {login.isPending ? t('login.busy') : t('login.submit')}
        </Button>
      </form>
      <LanguageSwitch />
    </main>
  )
}
