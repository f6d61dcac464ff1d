import { expect, test } from 'vitest'

import { readParts } from './multipart'

const bytes = (text: string) => new TextEncoder().encode(text)

function streamOf(chunks: Uint8Array<ArrayBuffer>[]): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk)
      controller.close()
    },
  })
}

async function all(chunks: Uint8Array<ArrayBuffer>[]): Promise<[body: string, ageMs: number][]> {
  const parts: [string, number][] = []
  for await (const { body, ageMs } of readParts(streamOf(chunks))) parts.push([new TextDecoder().decode(body), ageMs])
  return parts
}

const part = (body: string, ageMs: number) =>
  `Content-Type: image/jpeg\r\nContent-Length: ${body.length}\r\nX-Age-Ms: ${ageMs}\r\n\r\n${body}\r\n--b\r\n`
// The second body looks like a head of its own.
const ANSWER = bytes(`--b\r\n${part('first', 65_000)}${part('a\r\n\r\nb', 0)}${part('third', 7)}`)

test.each([1, 2, 7, 1000])('parts come out whole, however the network cuts them (%i bytes a time)', async (size) => {
  const chunks: Uint8Array<ArrayBuffer>[] = []
  for (let at = 0; at < ANSWER.length; at += size) chunks.push(ANSWER.slice(at, at + size))
  expect(await all(chunks)).toEqual([
    ['first', 65_000],
    ['a\r\n\r\nb', 0],
    ['third', 7],
  ])
})

test('a part that was cut off is not shown', async () => {
  expect(await all([ANSWER.slice(0, ANSWER.length - 12)])).toEqual([
    ['first', 65_000],
    ['a\r\n\r\nb', 0],
  ])
})

test('what is no such answer is refused', async () => {
  await expect(all([bytes('--b\r\nContent-Type: image/jpeg\r\n\r\nxx')])).rejects.toThrow('content-length')
  await expect(all([bytes('<html>'.repeat(500))])).rejects.toThrow('in parts')
})
