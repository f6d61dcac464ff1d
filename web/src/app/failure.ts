import { Problem, Unreachable } from '../api/client'
import { useWords } from '../i18n'

/** Words for a failure: ours where we know what happened, the station's own sentence where it said one. */
export function useFailureWords(): (error: unknown) => string {
  const { t } = useWords()
  return (error) => {
    if (error instanceof Unreachable) return t('error.unreachableOnce')
    if (error instanceof Problem) return error.detail
    return t('error.unknown', { words: error instanceof Error ? error.message : String(error) })
  }
}
