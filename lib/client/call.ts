import { readAnswer, type Connection, type Fetch } from './connection.ts'

/** Of a single call. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined
}

/** Ask a route of the plugin. @throws {AccountsError} */
export type Call = <Answer>(method: string, path: string, body?: object | undefined, options?: CallOptions | undefined) => Promise<Answer>

export function createCall ({ locateRoute }: Connection, fetch: Fetch): Call {
  return async (method, path, body, { signal } = {}) => await readAnswer(await fetch(locateRoute(path), {
    method,
    // What is asked of these routes is for nobody else.
    redirect: 'error',
    ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    ...(signal === undefined ? {} : { signal })
  }))
}
