/** Two languages, chosen by the reader, else by the browser. */

import i18next from 'i18next'
import { initReactI18next, useTranslation } from 'react-i18next'

import type { LocalText } from '../api/types'
import { en } from './en'
import { zh } from './zh'

export type Language = 'zh' | 'en'

declare module 'i18next' {
  interface CustomTypeOptions {
    resources: { translation: typeof en }
  }
}

const REMEMBERED = 'night-patrol.language'
const TAGS = { zh: 'zh-CN', en: 'en' } as const

export function preferredLanguage(remembered: string | null, browser: readonly string[]): Language {
  if (remembered === 'zh' || remembered === 'en') return remembered
  const known = browser.map((tag) => tag.slice(0, 2).toLowerCase()).find((tag) => tag === 'zh' || tag === 'en')
  return known === 'zh' ? 'zh' : 'en'
}

export async function startI18n(): Promise<void> {
  await i18next.use(initReactI18next).init({
    resources: { en: { translation: en }, zh: { translation: zh } },
    lng: preferredLanguage(remembered(), navigator.languages),
    fallbackLng: 'en',
    interpolation: { escapeValue: false },
  })
  document.documentElement.lang = TAGS[i18next.language as Language]
}

function remembered(): string | null {
  try {
    return localStorage.getItem(REMEMBERED)
  } catch {
    return null
  }
}

export async function chooseLanguage(language: Language): Promise<void> {
  await i18next.changeLanguage(language)
  document.documentElement.lang = TAGS[language]
  try {
    localStorage.setItem(REMEMBERED, language)
  } catch {
    // Storage is closed in some private windows: the choice lasts as long as the page.
  }
}

/** The words, the language, and its tag for dates and numbers. */
export function useWords() {
  const { t, i18n } = useTranslation()
  const language = i18n.language as Language
  return { t, language, tag: TAGS[language], local: (text: LocalText) => text[language] || text.en || text.zh }
}
