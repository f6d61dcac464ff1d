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

async function all(chunks: Uint8Array<ArrayBuffer>[]): Promise<string[]> {
  const parts: string[] = []
  for await (const part of readParts(streamOf(chunks))) parts.push(new TextDecoder().decode(part))
  return parts
}

const part = (body: string) => `Content-Type: image/jpeg\r\nContent-Length: ${body.length}\r\n\r\n${body}\r\n--b\r\n`
// The second body looks like a head of its own.
const ANSWER = bytes(`--b\r\n${part('first')}${part('a\r\n\r\nb')}${part('third')}`)

test.each([1, 2, 7, 1000])('parts come out whole, however the network cuts them (%i bytes a time)', async (size) => {
  const chunks: Uint8Array<ArrayBuffer>[] = []
  for (let at = 0; at < ANSWER.length; at += size) chunks.push(ANSWER.slice(at, at + size))
  expect(await all(chunks)).toEqual(['first', 'a\r\n\r\nb', 'third'])
})

test('a part that was cut off is not shown', async () => {
  expect(await all([ANSWER.slice(0, ANSWER.length - 12)])).toEqual(['first', 'a\r\n\r\nb'])
})

test('what is no such answer is refused', async () => {
  await expect(all([bytes('--b\r\nContent-Type: image/jpeg\r\n\r\nxx')])).rejects.toThrow('how long')
  await expect(all([bytes('<html>'.repeat(500))])).rejects.toThrow('in parts')
})
