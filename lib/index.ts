export { default, default as accounts } from './plugin.ts'
export * as errors from './errors.ts'
export { securitySchemes } from './routes/schemas.ts'
export type * from '../types/index.ts'
