export interface Part {
  body: Uint8Array<ArrayBuffer>
  /** How long ago the station received it when it sent it to us. */
  ageMs: number
}

/**
 * The parts of a multipart/x-mixed-replace answer as they come.
 *
 * An `img` element shows such an answer by itself but tells neither how old its picture is nor that pictures have
 * stopped; reading it ourselves tells both. The station gives every part a Content-Length and an X-Age-Ms.
 */
export async function* readParts(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<Part> {
  const reader = stream.getReader()
  let buffer = new Uint8Array(0)
  const more = async (): Promise<boolean> => {
    const { done, value } = await reader.read()
    if (done) return false
    const joined = new Uint8Array(buffer.length + value.length)
    joined.set(buffer)
    joined.set(value, buffer.length)
    buffer = joined
    return true
  }
  try {
    for (;;) {
      let end = headEnd(buffer)
      while (end < 0) {
        if (!(await more())) return
        end = headEnd(buffer)
      }
      const head = new TextDecoder().decode(buffer.subarray(0, end))
      const length = numberIn(head, 'content-length')
      const ageMs = numberIn(head, 'x-age-ms')
      while (buffer.length < end + length) if (!(await more())) return
      yield { body: buffer.slice(end, end + length), ageMs }
      buffer = buffer.slice(end + length)
    }
  } finally {
    await reader.cancel().catch(() => undefined)
  }
}

/** Longer than any head that the station writes: beyond it, this is not the answer we think it is. */
const HEAD_LIMIT = 1024
const CR = 13
const LF = 10

/** Where the head of the first part ends (after its empty line), or -1 when it is not complete. */
function headEnd(bytes: Uint8Array): number {
  for (let at = 3; at < bytes.length; at++) {
    if (bytes[at - 3] === CR && bytes[at - 2] === LF && bytes[at - 1] === CR && bytes[at] === LF) return at + 1
  }
  if (bytes.length > HEAD_LIMIT) throw new Error('The live picture is not in parts that can be read.')
  return -1
}

function numberIn(head: string, name: string): number {
  const match = new RegExp(`^${name}:\\s*(\\d+)\\s*$`, 'im').exec(head)
  if (match === null) throw new Error(`A part of the live picture has no ${name}.`)
  return Number(match[1])
}
