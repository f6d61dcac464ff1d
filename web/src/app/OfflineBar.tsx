import './OfflineBar.css'

import { useWords } from '../i18n'
import { useTimes } from '../words/clock'
import { useFeed } from './session'

/** Says that nothing can arrive, and since when. */
export function OfflineBar() {
  const { t } = useWords()
  const { clock } = useTimes()
  const { link, lastContactMs } = useFeed()
  return (
    <div className="offline-bar" role="alert">
      {link === 'offline' &&
        (lastContactMs === null ? t('link.offlineNever') : t('link.offlineSince', { time: clock(lastContactMs) }))}
    </div>
  )
}
