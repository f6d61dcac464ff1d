import { expect, test } from 'vitest'

import { isSignedOut, isUnknownCursor, readProblem } from './client'

test('a problem document speaks for itself, anything else by its status', () => {
  expect(readProblem(409, '{"title":"Conflict","detail":"Somebody was faster."}').detail).toBe('Somebody was faster.')
  expect(readProblem(403, '{"title":"Forbidden"}').detail).toBe('Forbidden')
  expect(readProblem(502, '<html>Bad gateway</html>').detail).toBe('HTTP 502')
  expect(readProblem(500, '{"detail":[1]}').detail).toBe('HTTP 500')
})

test('what a status means', () => {
  expect([400, 401, 409].map((status) => isSignedOut(readProblem(status, '')))).toEqual([false, true, false])
  expect([400, 401, 409].map((status) => isUnknownCursor(readProblem(status, '')))).toEqual([true, false, false])
})
