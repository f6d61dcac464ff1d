import { expect, test } from 'vitest'

import { age, secondsSince } from './age'
import { likelihood } from './likelihood'
import { figure, figures } from './measure'

test('an age is told in the largest whole unit', () => {
  expect(age(4.9)).toEqual({ unit: 'now', count: 0 })
  expect(age(59.9)).toEqual({ unit: 'seconds', count: 59 })
  expect(age(60)).toEqual({ unit: 'minutes', count: 1 })
  expect(age(3599)).toEqual({ unit: 'minutes', count: 59 })
  expect(age(7200)).toEqual({ unit: 'hours', count: 2 })
  expect(age(3 * 86_400)).toEqual({ unit: 'days', count: 3 })
})

test('a time ahead of our clock is now, not in the future', () => {
  expect(secondsSince('2026-05-01T12:00:10Z', Date.parse('2026-05-01T12:00:00Z'))).toBe(0)
  expect(secondsSince('2026-05-01T12:00:00Z', Date.parse('2026-05-01T12:00:10Z'))).toBe(10)
})

test('words for a probability change at the thresholds', () => {
  expect([0, 0.33, 0.66, 0.9, 0.99].map(likelihood)).toEqual([
    'unlikely', 'evenChance', 'likely', 'veryLikely', 'almostCertain',
  ])
  expect(likelihood(0.8999)).toBe('likely')
})

test('a figure parts into name, rounded value and unit', () => {
  expect(figure('radius_m', 2.44, 'en')).toEqual({ plainName: 'radius', value: '2.4', unit: 'metres' })
  expect(figure('density_per_m2', 5.25, 'en')).toEqual({ plainName: 'density', value: '5.3', unit: 'perSquareMetre' })
  expect(figure('lasted_s', 21.5, 'en')).toEqual({ plainName: 'lasted', value: '22', unit: 'seconds' })
  expect(figure('people', 6, 'en')).toEqual({ plainName: 'people', value: '6', unit: null })
  expect(figure('closing_speed_mps', 1, 'en').plainName).toBe('closing speed')
})

test('how many people comes before all other figures', () => {
  expect(figures({ lasted_s: 20, people: 6, radius_m: 2 }).map(([key]) => key)).toEqual(['people', 'lasted_s', 'radius_m'])
})
