import { useMutation } from '@tanstack/react-query'

import { isSignedOut, Problem, station } from '../api/client'
import type { Alert } from '../api/types'
import { useSession } from '../app/session'

/** Takes an alert in the user's name; what the station says comes into the feed at once. */
export function useAcknowledge(alert: Alert) {
  const { feed } = useSession()
  return useMutation({
    mutationKey: ['acknowledge', alert.id],
    mutationFn: () => station.acknowledge(alert.id),
    // On a bad network the same tap is sent again: the station takes it once.
    retry: (failures, error) => !(error instanceof Problem) && failures < 4,
    networkMode: 'always',
    onSuccess: feed.learn,
    onError: (error) => {
      // Signed out, or somebody was faster: the next read tells.
      if (isSignedOut(error) || error instanceof Problem) feed.nudge()
    },
  })
}
