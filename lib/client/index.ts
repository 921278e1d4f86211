// For browsers and Node. No token is ever put where other scripts could read it, and nothing of the server is imported.
export { createBearerClient } from './bearer-client.ts'
export { createClient } from './client.ts'
export { AccountsError } from './error.ts'
export { createPersonalTokenClient } from './personal-token-client.ts'
export type { CallOptions } from './call.ts'
export type * from './described.ts'
export type { AccountsErrorCode } from './error.ts'
export type * from './types.ts'
