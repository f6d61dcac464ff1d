import { Component, type ErrorInfo, type ReactNode } from 'react'

import { Button, Note } from '../design/components'
import { useWords } from '../i18n'

interface Props {
  children: ReactNode
  /** What to show instead; by default a page that offers to load again. */
  fallback?: ReactNode
}

/** Keeps a failure in one part of a page from taking the rest with it. */
export class ErrorBoundary extends Component<Props, { failed: boolean }> {
  override state = { failed: false }

  static getDerivedStateFromError() {
    return { failed: true }
  }

  override componentDidCatch(error: unknown, info: ErrorInfo) {
    console.error('A part of the page has failed', error, info.componentStack)
  }

  override render() {
    if (!this.state.failed) return this.props.children
    return this.props.fallback ?? <Failed />
  }
}

function Failed() {
  const { t } = useWords()
  return (
    <main className="page-message">
      <h1>{t('error.page')}</h1>
      <Note tone="bad" alert>
        {t('error.pageHint')}
      </Note>
      <Button
        look="primary"
        onClick={() => {
          location.reload()
        }}
      >
        {t('error.reload')}
      </Button>
    </main>
  )
}
