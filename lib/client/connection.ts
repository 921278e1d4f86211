import { toError } from './error.ts'

export type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>

export interface ConnectionOptions {
  /** Where the application is, such as `https://app.example.com`. In a page of its own: left out. */
  readonly url?: string | undefined
  /** The path of the plugin's routes, with what a proxy puts before it; `/auth` by default. */
  readonly prefix?: string | undefined
  /** In place of the global one. */
  readonly fetch?: Fetch | undefined
}

export interface Connection {
  /**
   * The whole address of what the application has at `target`.
   * @throws {TypeError} it is at another origin, where nothing of ours is sent
   */
  locate (target: string | URL): string
  /** The same for a route of the plugin. */
  locateRoute (path: string): string
  readonly fetch: Fetch
}

export function createConnection ({ url, prefix = '/auth', fetch = (input, init) => globalThis.fetch(input, init) }: ConnectionOptions): Connection {
  const locate = (target: string | URL) => {
    const base = url ?? pageAddress()
    const address = new URL(target, base)
    const { origin } = new URL(base)
    if (address.origin !== origin) throw new TypeError(`This client asks ${origin} alone, not ${address.origin}`)
    return address.href
  }
  return { locate, locateRoute: path => locate(prefix + path), fetch }
}

/** Asked for when it is needed: a page that is rendered on a server may make its client there. */
function pageAddress (): string {
  const { location } = globalThis as { location?: { readonly href: string } }
  if (location === undefined) throw new TypeError('Outside of a page the option "url" is needed')
  return location.href
}

/**
 * What a route of the plugin has answered; those that answer 202 and 204 have nothing to say.
 * @throws {AccountsError}
 */
export async function readAnswer<Answer> (response: Response): Promise<Answer> {
  if (!response.ok) throw await toError(response)
  return (response.status === 200 || response.status === 201 ? await response.json() : undefined) as Answer
}
