export interface ReadMail {
  /** By lower-case name; unfolded, not decoded; of a repeated header every value. */
  readonly headers: Readonly<Record<string, readonly string[]>>
  /** Decoded. */
  readonly subject: string
  readonly text: string
  readonly html: string
}

/** Read a message (RFC 5322 and 2045 to 2047, as far as Nodemailer makes use of them), given as latin1. */
export function readMail (raw: string): ReadMail {
  const { headers, body } = split(raw)
  const boundary = /boundary="([^"]+)"/.exec(headers['content-type']?.[0] ?? '')?.[1]
  const parts = boundary === undefined ? [{ headers, body }] : `\r\n${body}`.split(`\r\n--${boundary}`).slice(1, -1).map(part => split(part.slice(2)))
  const find = (type: string) => parts.filter(part => part.headers['content-type']?.[0]?.startsWith(type)).map(decode)[0] ?? ''
  return { headers, subject: words(headers.subject?.[0] ?? ''), text: find('text/plain'), html: find('text/html') }
}

interface Part { readonly headers: Record<string, string[]>, readonly body: string }

function split (raw: string): Part {
  const end = raw.indexOf('\r\n\r\n')
  const headers: Record<string, string[]> = {}
  for (const line of raw.slice(0, end).replace(/\r\n[ \t]+/g, ' ').split('\r\n')) {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon).toLowerCase()
    headers[name] = [...(headers[name] ?? []), line.slice(colon + 1).trim()]
  }
  return { headers, body: raw.slice(end + 4) }
}

function decode ({ headers, body }: Part): string {
  const encoding = headers['content-transfer-encoding']?.[0]?.toLowerCase()
  const bytes = encoding === 'base64' ? Buffer.from(body, 'base64') : Buffer.from(encoding === 'quoted-printable' ? unquote(body) : body, 'latin1')
  return bytes.toString('utf8').replaceAll('\r\n', '\n')
}

const unquote = (text: string) => text.replace(/=\r\n/g, '').replace(/=([0-9A-F]{2})/gi, (_match, code: string) => String.fromCharCode(parseInt(code, 16)))

/** Encoded words (RFC 2047); the space between two of them is none. */
function words (value: string): string {
  return value.replace(/(\?=)\s+(=\?)/g, '$1$2').replace(/=\?utf-8\?([BQ])\?([^?]*)\?=/gi, (_match, kind: string, text: string) =>
    Buffer.from(kind.toUpperCase() === 'B' ? Buffer.from(text, 'base64') : Buffer.from(unquote(text.replaceAll('_', ' ')), 'latin1')).toString('utf8'))
}
