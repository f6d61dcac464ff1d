import { expect, test } from 'vitest'

import type { Alert } from '../api/types'
import { inReadingOrder, isNews } from './order'

const alert = (changes: Partial<Alert>): Alert =>
  ({ id: 'a', state: 'open', severity: 'warning', raised_at: '2026-05-01T12:00:00Z', ended_at: null, ...changes }) as Alert

test('open alerts come first, then the newest', () => {
  const alerts = [
    alert({ id: 'taken, new', state: 'acknowledged', raised_at: '2026-05-01T12:09:00Z' }),
    alert({ id: 'open, old' }),
    alert({ id: 'open, new', raised_at: '2026-05-01T12:05:00+00:00' }),
  ]
  expect(inReadingOrder(alerts).map(({ id }) => id)).toEqual(['open, new', 'open, old', 'taken, new'])
})

test('news is an open alert never seen, or one that became worse', () => {
  const before = alert({})
  expect(isNews(undefined, before)).toBe(true)
  expect(isNews(before, alert({ severity: 'critical' }))).toBe(true)
  expect(isNews(before, alert({ severity: 'critical', state: 'acknowledged' }))).toBe(true)
  expect(isNews(before, alert({ severity: 'watch' }))).toBe(false)
  expect(isNews(undefined, alert({ state: 'acknowledged' }))).toBe(false)
  expect(isNews(undefined, alert({ ended_at: '2026-05-01T12:01:00Z' }))).toBe(false)
})
