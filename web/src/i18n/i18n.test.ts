import { expect, test } from 'vitest'

import { preferredLanguage } from '.'
import { en } from './en'
import { zh } from './zh'

interface Tree {
  readonly [key: string]: string | Tree
}

function leaves(tree: Tree, path = ''): [path: string, words: string][] {
  return Object.entries(tree).flatMap(([key, value]) =>
    typeof value === 'string' ? [[path + key, value] as [string, string]] : leaves(value, `${path}${key}.`),
  )
}

const placeholders = (words: string) => [...words.matchAll(/\{\{(\w+)\}\}/g)].map((match) => match[1]).sort()

test('both languages have the same words with the same placeholders', () => {
  const chinese = new Map(leaves(zh))
  const english = new Map(leaves(en))
  expect([...chinese.keys()].sort()).toEqual([...english.keys()].sort())
  for (const [path, words] of english) {
    expect(words, path).not.toBe('')
    expect(placeholders(chinese.get(path) ?? ''), path).toEqual(placeholders(words))
  }
})

test('a remembered language wins, then the first one of the browser that we speak', () => {
  expect(preferredLanguage('zh', ['en-GB'])).toBe('zh')
  expect(preferredLanguage(null, ['de-DE', 'zh-Hans-CN', 'en'])).toBe('zh')
  expect(preferredLanguage('xx', ['en-US', 'zh'])).toBe('en')
  expect(preferredLanguage(null, [])).toBe('en')
})
