export { sessionStore, type SessionStoreOptions } from './session-store.ts'
