/** The few pieces that every page is made of. */

import './components.css'

import type { ButtonHTMLAttributes, ReactNode } from 'react'

import type { LinkState } from '../api/feed'
import type { AlertState, Severity } from '../api/types'
import { chooseLanguage, useWords } from '../i18n'
import { SeverityIcon } from './icons'

interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  look?: 'plain' | 'primary' | 'quiet'
  size?: 'small' | 'normal' | 'big'
}

export function Button({ look = 'plain', size = 'normal', className = '', ...rest }: ButtonProps) {
  return <button type="button" {...rest} className={`button button--${look} button--${size} ${className}`} />
}

export function Note({ tone = 'plain', alert = false, children }: { tone?: 'plain' | 'warn' | 'bad'; alert?: boolean; children: ReactNode }) {
  return (
    <div className={`note note--${tone}`} role={alert ? 'alert' : undefined}>
      {children}
    </div>
  )
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <strong>{title}</strong>
      {children}
    </div>
  )
}

export function SeverityBadge({ severity }: { severity: Severity }) {
  const { t } = useWords()
  return (
    <span className={`severity is-${severity}`}>
      <SeverityIcon severity={severity} />
      {t(`severity.${severity}`)}
    </span>
  )
}

export function StateTag({ state }: { state: AlertState }) {
  const { t } = useWords()
  const look = state === 'open' ? 'open' : 'done'
  return <span className={`tag tag--${look}`}>{t(`state.${state}`)}</span>
}

export function LinkBadge({ link }: { link: LinkState }) {
  const { t } = useWords()
  return (
    <span className={`link-state link-state--${link}`} role="status">
      {t(`link.${link}`)}
    </span>
  )
}

export function LanguageSwitch() {
  const { t, language } = useWords()
  const other = language === 'zh' ? 'en' : 'zh'
  return (
    <Button
      look="quiet"
      lang={other === 'zh' ? 'zh-CN' : 'en'}
      title={t('language.switchLabel')}
      onClick={() => void chooseLanguage(other)}
    >
      {t('language.switch')}
    </Button>
  )
}

export function Header({ page, children }: { page: string; children?: ReactNode }) {
  const { t } = useWords()
  return (
    <header className="header">
      <div className="header__brand">
        <img src="/assets/icon.svg" alt="" />
        {t('app.name')}
        <span className="header__page">{page}</span>
      </div>
      <span className="header__space" />
      {children}
    </header>
  )
}
