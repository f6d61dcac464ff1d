import { useWords } from '../i18n'

export function Loading() {
  const { t } = useWords()
  return (
    <p className="page-message" role="status">
      {t('error.loading')}
    </p>
  )
}
