import './TakeBar.css'

import type { Alert } from '../api/types'
import { useFailureWords } from '../app/failure'
import { Button, Note } from '../design/components'
import { useWords } from '../i18n'
import { useAcknowledge } from './acknowledge'
import { useTakenWords } from './AlertFacts'
import { isWaiting } from './order'

/** The one thing to do with an open alert, within the thumb's reach; after that, who did it. */
export function TakeBar({ alert }: { alert: Alert }) {
  const { t } = useWords()
  const words = useFailureWords()
  const acknowledge = useAcknowledge(alert)
  const taken = useTakenWords(alert)
  return (
    <div className="take-bar">
      {acknowledge.isError && isWaiting(alert) && (
        <Note tone="bad" alert>
          {words(acknowledge.error)}
        </Note>
      )}
      {isWaiting(alert) ? (
        <Button
          look="primary"
          size="big"
          disabled={acknowledge.isPending}
          title={t('alert.gotItHint')}
          onClick={() => {
            acknowledge.mutate()
          }}
        >
          {t(acknowledge.isPending ? 'alert.gotItBusy' : 'alert.gotIt')}
        </Button>
      ) : (
        <p className="take-bar__taken" role="status">
          {taken ?? t(`state.${alert.state}`)}
        </p>
      )}
    </div>
  )
}
